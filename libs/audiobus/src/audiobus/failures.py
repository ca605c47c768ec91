"""How often in a row a conversation was drained in vain, and why: in Redis, beside what it counts, for those who look from outside.

Owns the fields `fails`, `fails_why` and `fails_ms` of `td:conv`. A finish takes them off, and a try that works. When to try again is the pusher's.
"""

from dataclasses import dataclass
from typing import Final

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.errors import BadEntryError
from audiobus.script import script

MOST_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Failures:
    """What is known of a conversation."""

    count: int = 0
    why: str = ""
    """Of the last one."""
    at_ms: int = 0
    """When the last one was, unix ms."""


async def note(bus: Bus, conversation: Conversation, why: str, now_ms: int) -> int:
    """One more; how many there are now. A repeat after a lost reply counts twice: it is a sign, no book."""
    args: list[str | bytes | int] = [why[:MOST_CHARACTERS], now_ms]
    return int(await script("failed").run(bus.client, [bus.keys.conv(conversation)], args))


async def forget(bus: Bus, conversation: Conversation) -> None:
    """A try worked, and stored nothing: what waited is gone, or others have stored it."""
    await bus.command("HDEL", bus.keys.conv(conversation), "fails", "fails_why", "fails_ms")


async def read(bus: Bus, conversation: Conversation) -> Failures:
    """Since something of it was stored last.

    Raises:
        BadEntryError: a field that no script of ours wrote.
    """
    key = bus.keys.conv(conversation)
    count, why, at_ms = await bus.command("HMGET", key, "fails", "fails_why", "fails_ms")
    try:
        return Failures(int(count or 0), (why or b"").decode(errors="replace"), int(at_ms or 0))
    except ValueError as error:
        raise BadEntryError(f"conversation hash: {error}") from error
