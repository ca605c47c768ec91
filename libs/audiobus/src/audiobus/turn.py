"""A pusher's turn at one conversation: what it must know, read in one step with the lease, and the end of the turn.

Owns what is read together: a command each would be four times the work for both sides, and four moments instead of one. Safety rests on the
scripts that write (`Bus.cut`, `Bus.finish`), not on the lease.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from audiobus.answers import Marks
from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.entry import Entry, entries_of
from audiobus.errors import BusContractError
from audiobus.state import STATE_FIELDS, ConversationState

PAGE_BYTES: Final = 2 * 1024 * 1024
"""No more entries are read at once than until they have so many bytes: a minute of speech has a tenth of that, and many are drained at once."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The conversation as it stood when the lease was taken."""

    values: Sequence[bytes | None]
    """Of STATE_FIELDS, as they stand in Redis."""
    deleted: bool
    """A tombstone stands."""
    buffered: bool
    """It has a buffer, be it empty."""
    entries: list[Entry]
    """The first ones of the buffer, at most as many as were asked for; fewer where those had the bytes (`Entry.size_bytes`)."""
    history: str
    """`master_replid` of the server that holds it: another one after each failover and each restart, also from a backup."""

    def state(self) -> ConversationState:
        """What stands in `td:conv`.

        Raises:
            BadEntryError: a field that no script of ours wrote. The lease is taken all the same.
        """
        return ConversationState.from_values(self.values)


@dataclass(frozen=True, slots=True)
class UserRules:
    """What holds for all of a user's conversations."""

    settings: dict[str, str]
    """`protection`, `store_audio`, `daily_limit_ms`; missing where nothing is set."""
    before_ms: int
    """What they recorded before this, unix ms, is deleted; 0 where nothing is."""


async def take(
    bus: Bus,
    conversation: Conversation,
    holder: str,
    ttl_ms: int,
    *,
    entries: int,
    enough_bytes: int = PAGE_BYTES,
) -> Taken | None:
    """Takes or renews the lease, and reads the conversation; None where somebody else holds it.

    The entries end, if there are not fewer anyway, with the one that brings them to `enough_bytes`.

    Raises:
        BusUnavailableError: it may be taken or not.
    """
    keys = bus.keys
    names = [
        keys.lease(conversation),
        keys.conv(conversation),
        keys.audio(conversation),
        keys.tomb(conversation),
    ]
    args: list[str | bytes | int] = [holder, ttl_ms, entries, enough_bytes, *STATE_FIELDS]
    match await bus.run("take", names, args):
        case [b"busy"]:
            return None
        case [b"taken", values, deleted, buffered, rows, history]:
            return Taken(values, bool(deleted), bool(buffered), entries_of(rows), history.decode())
        case answer:
            raise BusContractError(f"take answered {answer!r}")


async def part(
    bus: Bus, conversation: Conversation, holder: str, seen: ConversationState
) -> ConversationState | None:
    """Gives the lease back, unless something was appended or asked for since `seen`, or the first name noted among the `gone` ones.

    Then it stays, and what stands now is answered.

    Raises:
        BadEntryError: a field that no script of ours wrote.
        BusUnavailableError: it may be given back or not.
    """
    keys = [bus.keys.lease(conversation), bus.keys.conv(conversation)]
    args: list[str | bytes | int] = [holder, str(seen.newest or ""), str(seen.flush or "")]
    args += ["1" if seen.gone else "0", *STATE_FIELDS]
    match await bus.run("part", keys, args):
        case [b"parted"]:
            return None
        case [b"moved", values]:
            return ConversationState.from_values(values)
        case answer:
            raise BusContractError(f"part answered {answer!r}")


async def user_rules(bus: Bus, uid: str) -> UserRules:
    """What is set for the user, and what of theirs is deleted, as of one moment.

    Raises:
        BadEntryError: a tombstone that is no time.
        BusUnavailableError: Redis does not answer.
    """
    answer: Any = await bus.run("rules", [bus.keys.user(uid), bus.keys.user_tomb(uid)], [])
    before, rows = answer
    pairs = zip(rows[::2], rows[1::2], strict=True)
    settings = {key.decode(): value.decode() for key, value in pairs}
    return UserRules(settings, Marks.from_values(None, before).before_ms)
