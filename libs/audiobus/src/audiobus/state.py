"""What stands in `td:conv`, read in one command."""

from collections.abc import Sequence
from typing import Final, Self

import msgspec

from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError
from audiobus.position import Position

STATE_FIELDS: Final = (
    "owner", "newest", "format", "settled", "cut", "preroll", "pos",
    "in", "out", "dead", "last_ms", "flush", "flush_reason", "merging", "closed", "deleted",
    "again", "gone", "exported", "hurried", "fence", "held",
)  # fmt: skip
"""The fields of one `HMGET`, in the order of `ConversationState.from_values`."""


class PreRoll(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last packets before the settled id, for the batch that goes on after them. `finish` is its only writer."""

    epoch: int
    run_start_ms: int
    next_sample: int
    """The run's position after these packets: what comes next goes on if its `first_sample` is this one."""
    next_offset: int
    packets: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The value of the field `preroll`."""
        return _PREROLL_ENCODER.encode(self)


_PREROLL_ENCODER = msgspec.msgpack.Encoder()
_PREROLL_DECODER = msgspec.msgpack.Decoder(PreRoll)


class ConversationState(msgspec.Struct, frozen=True):
    """One conversation's state; None where a field is missing."""

    owner: str | None
    newest: EntryId | None
    format: str | None
    """`source:sample_rate:channels:pre_skip` of the newest session; all but the last must agree for it to be resumed."""
    settled: EntryId | None
    """Everything up to here is in the bucket (or was nothing to store)."""
    cut: bytes | None
    preroll: PreRoll | None
    """None too where what stands there is none: the next batch begins without, which may be heard, and nothing waits for it."""
    position: Position | None
    received_samples: int
    stored_samples: int
    dead_samples: int
    last_ms: int
    """When something was last opened or appended, unix ms; 0 if never."""
    flush: EntryId | None
    """Everything up to here shall be stored now."""
    flush_reason: str | None
    merging: str | None
    """What it goes into: frozen, nothing is opened or appended."""
    closed: int | None = None
    """Epoch of the newest session, if it is over and cannot be resumed."""
    deleted_samples: int = 0
    """Audio that was received and then deleted on purpose, wherever it lay, at 48 kHz."""
    again: bytes | None = None
    """Stands as long as a dead letter may be marked for another try (`dead_letters.none_left`)."""
    gone: bool = False
    """Names of objects that were deleted, or must not stay, have to be seen to (`deletions.gone`)."""
    exported: EntryId | None = None
    """Up to here somebody has files of what waited: they may be copied into the bucket by hand (`exported.note`)."""

    hurried: bool = False
    """Its last batch was stored before its time, perhaps at the moment when others' were."""
    fence: int = 0
    """Grows with each entry that leaves the buffer unstored, and with each name of an object that is given up or deleted: what was planned before
    that counts no more (`Bus.cut`, `dead_letters.cut`)."""
    held: str | None = None
    """The merge that copies into it, or out of it while it stays."""

    @property
    def exists(self) -> bool:
        """Whether anybody ever recorded into it (as far as Redis remembers)."""
        return self.newest is not None

    @property
    def in_merge(self) -> bool:
        """Whether a merge holds it: nothing of it may be deleted."""
        return bool(self.merging or self.held)

    @property
    def export_waits(self) -> bool:
        """Whether what waits may be brought into the bucket by hand at any time."""
        return self.exported is not None and (self.settled is None or self.settled < self.exported)

    @property
    def waiting_samples(self) -> int:
        """Audio that lies in the buffer, at 48 kHz."""
        gone = self.stored_samples + self.dead_samples + self.deleted_samples
        return max(0, self.received_samples - gone)

    @classmethod
    def from_values(cls, values: Sequence[bytes | None]) -> Self:
        """The state from the answer of `HMGET key *STATE_FIELDS`.

        Raises:
            BadEntryError: a field that no script of ours wrote.
        """
        (
            owner,
            newest,
            fmt,
            settled,
            cut,
            preroll,
            pos,
            received,
            stored,
            dead,
            last,
            flush,
            reason,
            merging,
            closed,
            deleted,
            again,
            gone,
            exported,
            hurried,
            fence,
            held,
        ) = values
        try:
            return cls(
                owner=_text(owner),
                newest=EntryId.parse_or_none(newest),
                format=_text(fmt),
                settled=EntryId.parse_or_none(settled),
                cut=cut or None,
                preroll=_preroll(preroll),
                position=Position.parse_or_none(pos),
                received_samples=int(received or 0),
                stored_samples=int(stored or 0),
                dead_samples=int(dead or 0),
                last_ms=int(last or 0),
                flush=EntryId.parse_or_none(flush),
                flush_reason=_text(reason),
                merging=_text(merging),
                closed=int(closed) if closed else None,
                deleted_samples=int(deleted or 0),
                again=again or None,
                gone=bool(gone),
                exported=EntryId.parse_or_none(exported),
                hurried=bool(hurried),
                fence=int(fence or 0),
                held=_text(held),
            )
        except (ValueError, msgspec.DecodeError) as error:
            raise BadEntryError(f"conversation hash: {error}") from error


def _preroll(value: bytes | None) -> PreRoll | None:
    try:
        return _PREROLL_DECODER.decode(value) if value else None
    except msgspec.DecodeError:
        return None  # all audio in it is stored already; the next `finish` puts another in its place


def _text(value: bytes | None) -> str | None:
    return value.decode() if value else None
