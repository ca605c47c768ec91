"""Word of conversations that were frozen, or went into another one: one stream for all, which a process reads for all of its sockets that send nothing.

Owns that stream. A word is a hint: what stands is in the conversation itself (`merging.goes_into`), and a word that is lost, late, or said twice
costs a look or a delay, never audio, for what is frozen takes nothing anyway.
"""

from typing import Final, NamedTuple

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.entry import entries_of
from audiobus.entry_id import EntryId
from audiobus.script import Argument, script

KEPT: Final = 10_000
"""Words, about. Whoever missed more has sockets that hear of it with their next append."""
PAGE: Final = 1_000
"""Words that are read at once."""


class Word(NamedTuple):
    """That one was said."""

    id: EntryId
    """When, unix ms of Redis, and a number: each above all before it."""
    tag: str
    """Of the conversation."""


async def tell_frozen(bus: Bus, conversation: Conversation) -> None:
    """Says that it was frozen, or went away. Say it after that was done. BusUnavailableError: it may have been said or not."""
    args: list[Argument] = [conversation.tag, KEPT]
    await script("frozen").run(bus.client, [bus.keys.frozen()], args, wait_replicas=bus.wait_replicas)


async def told_frozen(bus: Bus, since: EntryId) -> list[Word]:
    """The oldest words from this id on, `PAGE` of them at the most. One command. BusUnavailableError."""
    rows = await bus.command("XRANGE", bus.keys.frozen(), str(since), "+", "COUNT", PAGE)
    return [Word(one.id, one.fields.get(b"c", b"").decode(errors="replace")) for one in entries_of(rows)]
