"""What Redis holds of a user's recordings from before a moment: which conversations, and whether a pusher has cleared them yet.

Changes nothing. What goes, and how, is the pushers' business, by the same rule: when `listen` made a chunk.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

from audiobus.bus import Bus
from audiobus.chunk import HEAD_BYTES, made_ms
from audiobus.connection import translated
from audiobus.conversation import Conversation
from audiobus.dead_letters import look
from audiobus.entry import Entry
from audiobus.entry_id import EntryId

SCAN_COUNT: Final = 1_000
PAGE: Final = 96


async def conversations_of(bus: Bus, uid: str) -> set[Conversation]:
    """Every conversation of the user that Redis knows anything of. Walks all keys.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    found: set[Conversation] = set()
    with translated("SCAN"):
        # On a cluster redis-py asks every master.
        async for key in cast("Any", bus.client).scan_iter(
            match=bus.keys.user_pattern(uid), count=SCAN_COUNT
        ):
            conversation = bus.keys.conversation_of(key)
            if conversation is not None and conversation.uid == uid:
                found.add(conversation)
    return found


async def newest_ids(bus: Bus, conversations: Sequence[Conversation]) -> dict[Conversation, EntryId]:
    """The last id of each; those into which nobody ever recorded, as far as Redis remembers, are left out."""
    found: dict[Conversation, EntryId] = {}
    for conversation in conversations:
        newest = EntryId.parse_or_none(await bus.command("HGET", bus.keys.conv(conversation), "newest"))
        if newest is not None:
            found[conversation] = newest
    return found


async def waits_before(bus: Bus, conversation: Conversation, before_ms: int) -> bool:
    """Whether buffer or dead letters hold audio that was made before that: no pusher has cleared it since it was deleted.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    at_ms, after = 0, None
    while True:
        page = await bus.read(conversation, count=PAGE, after=after)
        for entry in page:
            if entry.chunk is None:
                continue
            at_ms = _made_ms(entry, at_ms)
            if at_ms < before_ms:
                return True
        if len(page) < PAGE:
            break
        after = page[-1].id
    async for found in look(bus, conversation):
        if found.letter is not None and _made_ms(found.letter.entry, 0) < before_ms:
            return True
    return False


def _made_ms(entry: Entry, before_ms: int) -> int:
    """When an entry with audio was made, unix ms; where it does not say, as the one before it, at the earliest with its session."""
    made = made_ms((entry.chunk or b"")[:HEAD_BYTES])
    return max(before_ms, entry.id.epoch) if made is None else made
