"""The live tail: what of a conversation waits in Redis, as pieces of the timeline.

Owns reading it consistently: every entry that was acked before, and the pre-roll that fits the first of them. Writes nothing.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audiobus import Bus, Chunk, Conversation, ConversationState, Entry, EntryId, decode_chunk
from audiobus.errors import BadEntryError
from audiocodec.packet import packet_facts
from audiocodec.span import PREROLL_SAMPLES, Span, join
from storage_api.passage import Passage, Sound, narrow
from storage_api.timeline import Live, Piece, Play

PAGE_ENTRIES: Final = 256
"""Entries read at once: about 1 MiB, and as many seconds."""
CONSISTENT_TRIES: Final = 3
"""How often the tail is read again because a batch was finished meanwhile. After that only the pre-roll may be missing."""


@dataclass(frozen=True, slots=True)
class LiveChunk:
    """One entry."""

    id: EntryId
    chunk: Chunk
    span: Span


@dataclass(frozen=True, slots=True)
class LiveTail:
    """Everything that waits, in the order of ids."""

    state: ConversationState
    chunks: tuple[LiveChunk, ...]
    unreadable: int
    """Entries that do not parse."""

    @property
    def pieces(self) -> list[Piece]:
        """For the timeline; `Live.index` counts `chunks`."""
        return [Piece(live.span, Live(index)) for index, live in enumerate(self.chunks)]

    def sounds(self, passage: Passage) -> list[Sound]:
        """The packets of a passage of the tail, those that follow one another as one."""
        sounds: list[Sound] = []
        group: list[Play] = []
        for play in passage.plays:
            if group and not (
                group[-1].whole and play.whole and play.piece.span.continues(group[-1].piece.span)
            ):
                sounds.append(self._sound(group))
                group = []
            group.append(play)
        return [*sounds, self._sound(group)]

    def _sound(self, plays: Sequence[Play]) -> Sound:
        span = join(play.piece.span for play in plays)[0]
        source = plays[0].piece.source
        assert isinstance(source, Live)  # noqa: S101 - `passages` never mixes sources
        return narrow(span, self._before(source.index), plays[0].start_48k, plays[-1].end_48k)

    def _before(self, index: int) -> tuple[bytes, ...]:
        """The last 320 ms of packets before a chunk, as far as they are known."""
        taken: deque[bytes] = deque()
        have = 0
        while True:
            span = self.chunks[index].span
            if span.starts:
                return tuple(taken)
            known = index > 0 and span.continues(self.chunks[index - 1].span)
            for packet in reversed(self.chunks[index - 1].span.packets if known else self._kept(span)):
                if have >= PREROLL_SAMPLES:
                    return tuple(taken)
                taken.appendleft(packet)
                have += packet_facts(packet).samples
            if not known:
                return tuple(taken)
            index -= 1

    def _kept(self, span: Span) -> tuple[bytes, ...]:
        """What the last batch left for whatever goes on after it."""
        kept = self.state.preroll
        if kept is None or (kept.epoch, kept.next_offset) != (span.epoch, span.first_offset):
            return ()
        if (kept.run_start_ms, kept.next_sample) != (span.run_start_ms, span.first_sample):
            return ()
        return kept.packets


async def read_live_tail(bus: Bus, conversation: Conversation) -> LiveTail:
    """The tail as it is now. BusUnavailableError where Redis is away."""
    tries = CONSISTENT_TRIES
    while True:
        state = await bus.state(conversation)
        chunks, unreadable = await _read(bus, conversation)
        tries -= 1
        if not tries or (await bus.state(conversation)).settled == state.settled:
            return LiveTail(state, chunks, unreadable)


async def _read(bus: Bus, conversation: Conversation) -> tuple[tuple[LiveChunk, ...], int]:
    chunks: list[LiveChunk] = []
    unreadable = 0
    after: EntryId | None = None
    while True:
        entries = await bus.read(conversation, count=PAGE_ENTRIES, after=after)
        found, bad = await asyncio.to_thread(parse_entries, conversation.cid, entries)
        chunks += found
        unreadable += bad
        if len(entries) < PAGE_ENTRIES:
            return tuple(chunks), unreadable
        after = entries[-1].id


def parse_entries(conversation_id: str, entries: Sequence[Entry]) -> tuple[list[LiveChunk], int]:
    """The chunks in these entries that hold packets, and how many entries do not parse."""
    chunks: list[LiveChunk] = []
    unreadable = 0
    for entry in entries:
        data = entry.chunk
        if data is None:
            continue  # the opening of a session
        try:
            chunk = decode_chunk(data)
        except BadEntryError:
            unreadable += 1
            continue
        if chunk.packets and chunk.first_offset <= entry.id.offset:
            span = chunk.span(conversation_id, entry.id.epoch, entry.id.offset)
            chunks.append(LiveChunk(entry.id, chunk, span))
    return chunks, unreadable
