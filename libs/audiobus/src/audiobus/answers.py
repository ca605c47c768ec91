"""What the scripts answer, as types."""

from dataclasses import dataclass
from typing import Any, Self

from audiobus.conversation import Conversation
from audiobus.entry_id import EntryId
from audiobus.errors import (
    BadEntryError,
    BusContractError,
    ConversationDeletedError,
    FormatMismatchError,
    MergedError,
    MergingError,
    StaleSocketError,
)
from audiobus.position import Position


@dataclass(frozen=True, slots=True)
class Opened:
    """A session is open, and this socket owns it."""

    epoch: int
    resumed: bool
    offset: int
    """Payload bytes of the session that are safe; 0 for a fresh one."""
    position: Position | None
    """Where a resumed session's audio ends on the timeline; None for a fresh one, or where it has none."""
    previous_offset: int | None
    """For a session that could not be resumed: up to where it is safe. None where that is not known."""
    settled: EntryId | None
    """Everything of the conversation up to here is in the bucket (resumed sessions only)."""
    used: bytes = b""
    """What a resumed session has used, by days (`audiobus.usage.session_totals`)."""
    used_was: bytes = b""
    """The same of the last session before it (`audiobus.usage.former_totals`): its process may have ended before it wrote that."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The chunk is safe, now or since an earlier try."""

    newest: EntryId
    settled: EntryId | None
    dead_offset: int | None
    """The first byte of this session that lies in the dead letters."""
    waiting_samples: int
    """Audio of the conversation that is not stored yet, at 48 kHz."""
    entries: int
    """Entries in the buffer."""
    used: bytes = b""
    """What the session has used, by days (`audiobus.usage.session_totals`)."""
    merging: str | None = None
    """Tag of the conversation into which this one is just being merged: what the socket has yet is taken for a moment, then nothing more."""

    @property
    def stored_offset(self) -> int:
        """The prefix of this session that is settled, in payload bytes."""
        return stored_offset(self.newest.epoch, self.settled, self.dead_offset)


@dataclass(frozen=True, slots=True)
class Replaced:
    """Nothing was appended: another socket owns the conversation (`owner` is empty where nobody does)."""

    owner: str
    newest: EntryId | None


@dataclass(frozen=True, slots=True)
class Misplaced:
    """Nothing was appended, or asked for: the newest id is not the one before the chunk, or below what is known to be there.

    Below what was acked: Redis lost writes. Above: another socket of the session wrote part of the chunk.
    """

    newest: EntryId | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What stood when storing was asked for."""

    newest: EntryId
    settled: EntryId | None
    entries: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What stood when it was looked at what is stored of a session."""

    newest: EntryId | None
    """The last id; None where nobody ever recorded into the conversation, or Redis lost that somebody did."""
    settled: EntryId | None
    """Everything of the conversation up to here is in the bucket."""
    dead_offset: int | None
    """The first byte of the session that lies in the dead letters."""


@dataclass(frozen=True, slots=True)
class CutStands:
    """The cut is written down."""


@dataclass(frozen=True, slots=True)
class OtherCutStands:
    """Another cut is written down: build that one first."""

    cut: bytes


@dataclass(frozen=True, slots=True)
class SettledMoved:
    """Something was settled, taken away or given up since the buffer was read, or Redis has another history: read it again."""

    settled: EntryId | None


@dataclass(frozen=True, slots=True)
class ConversationGone:
    """A tombstone stands."""


@dataclass(frozen=True, slots=True)
class NameGone:
    """An object of that name was deleted, or must not stay, or is announced and may be taken away: take another."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is deleted of a conversation."""

    deleted: bool
    """All of it: a tombstone stands."""
    before_ms: int
    """What was recorded before this, unix ms: its user deleted what they had. 0 where they did not."""

    @classmethod
    def from_values(cls, tomb: bytes | None, before: bytes | None) -> Self:
        """From the two keys.

        Raises:
            BadEntryError: a user's tombstone that is no time.
        """
        try:
            return cls(tomb is not None, int(before or 0))
        except ValueError as error:
            raise BadEntryError(f"tombstone of a user: {before!r} is no time") from error


def read_open_answer(conversation: Conversation, answer: Any) -> Opened:
    """The answer of the open script as a type. Errors as for `Bus.open`."""
    match answer:
        case [b"resumed", epoch, offset, pos, _received, settled, used, used_was]:
            return Opened(
                epoch=int(epoch),
                resumed=True,
                offset=int(offset),
                position=Position.parse_or_none(pos),
                previous_offset=None,
                settled=EntryId.parse_or_none(settled),
                used=used,
                used_was=used_was,
            )
        case [b"fresh", epoch, former, _received, used_was]:
            return Opened(
                epoch=int(epoch),
                resumed=False,
                offset=0,
                position=None,
                previous_offset=None if former is None else int(former),
                settled=None,
                used_was=used_was,
            )
        case [b"deleted"]:
            raise ConversationDeletedError(f"{conversation.tag} is deleted")
        case [b"merging", target]:
            raise MergingError(target.decode())
        case [b"merged", target, former]:
            raise MergedError(target.decode(), None if former is None else int(former))
        case [b"stale", _owner]:
            raise StaleSocketError(f"{conversation.tag} is owned by a socket that arrived later")
        case [b"format", recorded]:
            raise FormatMismatchError(recorded.decode() if recorded else "nothing known")
        case other:
            raise BusContractError(f"open answered {other!r}")


def stored_offset(epoch: int, settled: EntryId | None, dead_offset: int | None) -> int:
    """The prefix of the session `epoch` that is settled, in payload bytes: it stops before the first dead byte."""
    if settled is None or settled.epoch < epoch:
        return 0
    stored = settled.offset if settled.epoch == epoch else 0
    return stored if dead_offset is None else min(stored, dead_offset)
