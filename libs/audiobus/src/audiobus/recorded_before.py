"""What Redis holds of a user's recordings from before a moment: which conversations, up to which id, and what of it still waits.

Changes nothing. What goes, and how, is the pushers' business, by the rule when `listen` made a chunk; and that of whoever set the user's tombstone, by
the rule up to which id it had been appended then.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from audiobus.bus import Bus
from audiobus.chunk import HEAD_BYTES, made_ms
from audiobus.connection import translated
from audiobus.conversation import Conversation
from audiobus.dead_letters import look
from audiobus.entry import Entry
from audiobus.entry_id import EntryId
from audiobus.pipeline import execute
from audiobus.routed import Routed

SCAN_COUNT: Final = 1_000
PAGE: Final = 96
TOGETHER: Final = 200
"""Commands in one go."""
AT_ONCE: Final = 16
"""Buffers that are read at the same time."""


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
    """The last id of each; those into which nobody ever recorded, as far as Redis remembers, are left out.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    found: dict[Conversation, EntryId] = {}
    for start in range(0, len(conversations), TOGETHER):
        some = conversations[start : start + TOGETHER]
        keys = [bus.keys.conv(one) for one in some]
        with translated("HGET"):
            answers = await execute(bus.client, [Routed(key, ("HGET", key, "newest")) for key in keys])
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        for conversation, answer in zip(some, answers, strict=True):
            newest = EntryId.parse_or_none(answer)
            if newest is not None:
                found[conversation] = newest
    return found


async def appended_late(
    bus: Bus, conversations: Sequence[Conversation], newest: Mapping[Conversation, EntryId], before_ms: int
) -> dict[Conversation, EntryId]:
    """The last id of each behind `newest` that has audio from before that moment; those that have none are left out.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    found: dict[Conversation, EntryId | None] = {}
    for start in range(0, len(conversations), AT_ONCE):
        some = conversations[start : start + AT_ONCE]
        last = await asyncio.gather(*(_last_before(bus, one, newest.get(one), before_ms) for one in some))
        found.update(zip(some, last, strict=True))
    return {one: last for one, last in found.items() if last is not None}


@dataclass(slots=True)
class Waiting:
    """What lies in buffer and dead letters of a conversation from before a moment."""

    made_before: bool = False
    """There is audio that was made before it: no pusher has cleared it since it was deleted."""
    entries: dict[EntryId, int] = field(default_factory=dict)
    """Entries that were appended before it, though `listen` says that it made them later, with their samples. No pusher clears these."""
    letters: list[EntryId] = field(default_factory=list)
    """The same among the dead letters."""
    unreadable: int = 0
    """Dead letters that cannot be read: nobody knows when they were made."""


async def waits_before(
    bus: Bus, conversation: Conversation, before_ms: int, newest: EntryId | None = None
) -> Waiting:
    """What of it still lies in Redis.

    Args:
        bus: the bus.
        conversation: whose buffer.
        before_ms: the moment, unix ms.
        newest: the last id that was appended by then; None where that is not known.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    waiting = Waiting()
    async for entry, at_ms in _made(bus, conversation, None):
        if at_ms < before_ms:
            waiting.made_before = True
        elif newest is not None and entry.id <= newest:
            waiting.entries[entry.id] = entry.counted_samples
    async for found in look(bus, conversation):
        if found.letter is None:
            waiting.unreadable += 1
            continue
        entry = found.letter.entry
        if _made_ms(entry, 0) < before_ms:
            waiting.made_before = True
        elif newest is not None and entry.id <= newest:
            waiting.letters.append(entry.id)
    return waiting


async def _last_before(
    bus: Bus, conversation: Conversation, after: EntryId | None, before_ms: int
) -> EntryId | None:
    last = None
    async for entry, at_ms in _made(bus, conversation, after):
        if at_ms < before_ms:
            last = entry.id
    return last


async def _made(
    bus: Bus, conversation: Conversation, after: EntryId | None
) -> AsyncIterator[tuple[Entry, int]]:
    """The entries with audio in the buffer, and when each was made, unix ms: as old as the one before where it does not say."""
    at_ms = 0
    while True:
        page = await bus.read(conversation, count=PAGE, after=after)
        for entry in page:
            if entry.chunk is not None:
                at_ms = _made_ms(entry, at_ms)
                yield entry, at_ms
        if len(page) < PAGE:
            return
        after = page[-1].id


def _made_ms(entry: Entry, before_ms: int) -> int:
    """When an entry with audio was made, unix ms; where it does not say, as the one before it, at the earliest with its session."""
    made = made_ms((entry.chunk or b"")[:HEAD_BYTES])
    return max(before_ms, entry.id.epoch) if made is None else made
