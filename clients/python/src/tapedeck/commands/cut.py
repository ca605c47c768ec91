"""`tapedeck cut`."""

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tapedeck.commands.confirming import YesOption, confirm
from tapedeck.commands.operating import busy
from tapedeck.commands.rm import print_deleted
from tapedeck.commands.terminal import JsonOption, TokenOption, UrlOption, UserOption, rfc3339
from tapedeck.commands.times import typed_time
from tapedeck.errors import NotFoundError, UsageError
from tapedeck.operators.spans import length
from tapedeck.storage_types import Conversation
from tapedeck.system import System

if TYPE_CHECKING:
    from tapedeck.storage_client import StorageClient


def cut(
    *,
    conversation: Annotated[str, typer.Argument(help="Which one.")],
    start: Annotated[str | None, typer.Option(help="From here on: RFC 3339 or unix seconds.")] = None,
    end: Annotated[str | None, typer.Option(help="Up to here.")] = None,
    yes: YesOption = False,
    user: UserOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Cut a stretch of time out of a conversation for good; it remains as a gap."""
    from tapedeck.commands.storage import conversation_names, storage_client  # noqa: PLC0415 - not needed for --help

    (wanted,) = conversation_names([conversation])
    if "" in (start, end):
        raise UsageError(
            "a time is empty", hint="leave --start or --end out to cut from the beginning, or to the end"
        )
    if start is None and end is None:
        raise UsageError("--start or --end is needed", hint=f"`tapedeck rm {wanted}` deletes all of it")
    first = typed_time(start) if start is not None else None
    last = typed_time(end) if end is not None else None
    system = System(url, token, user)
    with storage_client(system) as client:
        try:
            known = client.conversation(system.uid, wanted)
        except NotFoundError:
            known = None  # all of it may be gone by an earlier try: what there is to say says the service
        if known is not None and _is_before(known.start, first, last):
            _check_start(known, first, last, _earliest(client, system.uid, known))
        stretch = _stretch(known, first, last)
        confirm(f"Cut {stretch} out of {wanted} of {system.uid} for good?", yes=yes)
        with busy(f"cutting {wanted}"):
            deleted = client.delete_stretch(system.uid, wanted, start=start, end=end)
    print_deleted(deleted, json=json)


def _is_before(begins: datetime, start: datetime | None, end: datetime | None) -> bool:
    """Whether the stretch begins before the conversation, and has some of it: one that lies before it as a whole takes nothing."""
    return start is not None and start < begins and (end is None or end > begins)


def _earliest(client: "StorageClient", uid: str, known: Conversation) -> datetime:
    """The earliest time that anything of the conversation is listed at: what cannot be read may lie before its first sample, as far as anybody knows."""
    with suppress(NotFoundError):
        for chunk in client.chunks(uid, known.conversation_id, page_size=1):
            return min(known.start, chunk.start)
    return known.start


def _check_start(known: Conversation, start: datetime | None, end: datetime | None, begins: datetime) -> None:
    """Raises UsageError for a start before the conversation: seconds into it may be meant, and 10 would be all of it, from 1970 on."""
    if start is None or not _is_before(begins, start, end):
        return
    if known.live_known:
        hint = "leave --start out to cut from its beginning; it is a time (RFC 3339 or unix seconds), not seconds into the conversation"
    else:
        hint = "what waits to be stored cannot be read at the moment, and may begin earlier: try again"
    raise UsageError(
        f"--start is {rfc3339(start)}, before the conversation begins ({rfc3339(begins)})", hint=hint
    )


def _stretch(known: Conversation | None, start: datetime | None, end: datetime | None) -> str:
    """The stretch for people, with how much of the conversation's time it takes, where that is known."""
    told = f"{rfc3339(start) if start else 'its beginning'} to {rfc3339(end) if end else 'its end'}"
    if known is None:
        return told
    first = max(start or known.start, known.start)
    last = min(end or known.end, known.end)
    return f"{told} ({length(max(0.0, (last - first).total_seconds()))} of it)"
