"""Operations and deletions as they go over the wire (storage-api.md)."""

import msgspec

from audiobus.operations import Operation as Written
from storage_api.moments import rfc3339_ms
from storage_api.operations.turn import Trouble
from storage_api.wire import Moment


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """Something that goes on after it was answered."""

    id: str
    kind: str
    """What it does: `delete_user_audio`, `merge_conversations`."""
    done: bool
    """Nothing more happens: there is a `result`, or an `error`."""
    progress: dict[str, int | float | str] | None
    """How far it is; which fields there are depends on `kind`. Null at the beginning."""
    error: Trouble | None
    """Why it failed; before it is done, what the last try failed of: then it is tried again."""
    result: dict[str, int | float | str] | None
    """What came of it, by `kind`; null until it is done."""
    created: Moment
    """RFC 3339 UTC. What is done is known for a week."""


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted."""

    deleted_objects: int
    """Of the bucket, by name: batches, and chunks of older formats."""
    deleted_seconds: float
    """Audio that could be played, stored or waiting, and what lay in the dead letters."""


_NUMBERS = msgspec.json.Decoder(dict[str, int | float | str])
_TROUBLE = msgspec.json.Decoder(Trouble)


def operation(written: Written) -> Operation:
    """For the wire."""
    return Operation(
        id=written.id,
        kind=written.kind,
        done=written.done,
        progress=_NUMBERS.decode(written.progress) if written.progress else None,
        error=_TROUBLE.decode(written.error) if written.error else None,
        result=_NUMBERS.decode(written.result) if written.result else None,
        created=rfc3339_ms(written.created_ms),
    )
