"""One chunk to append, as the script takes it, and what the script answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audiobus.answers import Appended, Misplaced, Replaced
from audiobus.conversation import Conversation
from audiobus.entry_id import EntryId
from audiobus.errors import BusContractError, ConversationDeletedError, MergingError
from audiobus.keys import Keys
from audiobus.position import Position
from audiobus.script import Argument


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """A chunk to append, and onto what."""

    conversation: Conversation
    owner: str
    before: EntryId
    id: EntryId
    chunk: bytes
    samples: int
    """Played samples of the chunk at 48 kHz."""
    position: Position | None
    """Where the run stands after it; None as long as the session has no audio."""
    now_ms: int
    traceparent: str = ""
    """The span of its session (W3C Trace Context), where traces are on: kept beside the chunk."""

    script_name = "append"

    @property
    def size(self) -> int:
        """About how many bytes it is."""
        return len(self.chunk)

    def command(self, keys: Keys) -> tuple[list[str], list[Argument]]:
        """Keys and arguments of the script."""
        return (
            [keys.conv(self.conversation), keys.audio(self.conversation), keys.tomb(self.conversation)],
            [
                self.owner,
                str(self.before),
                str(self.id),
                self.chunk,
                self.now_ms,
                self.samples,
                str(self.position) if self.position else "",
                str(self.id.epoch),
                self.traceparent,
            ],
        )

    def read(self, answer: Sequence[Any]) -> "AppendAnswer":
        """The script's answer (`read_append_answer`)."""
        return read_append_answer(answer)


AppendAnswer = Appended | Replaced | Misplaced


def read_append_answer(answer: Sequence[Any]) -> AppendAnswer:
    """The answer of the append script as a type.

    Raises:
        ConversationDeletedError: a tombstone stands.
        MergingError: a merge holds the conversation, or it has gone into another.
        BusContractError: no answer of that script.
    """
    match [bytes(part) if isinstance(part, bytes) else part for part in answer]:
        case [b"ok", newest, settled, dead, waiting, entries, used, *merging]:
            return Appended(
                newest=EntryId.parse(newest),
                settled=EntryId.parse_or_none(settled),
                dead_offset=int(dead) if dead else None,
                waiting_samples=int(waiting),
                entries=int(entries),
                used=used,
                merging=merging[0].decode() if merging else None,
            )
        case [b"owner", owner, newest]:
            return Replaced(owner.decode(), EntryId.parse_or_none(newest))
        case [b"newest", newest]:
            return Misplaced(EntryId.parse_or_none(newest))
        case [b"deleted"]:
            raise ConversationDeletedError("the conversation is deleted")
        case [b"merging", target]:
            raise MergingError(target.decode())
        case other:
            raise BusContractError(f"append answered {other!r}")
