"""The live tail: what of a conversation waits in Redis, as pieces of the timeline, and what lies there and cannot be played.

Owns reading it consistently: every entry that was acked before, be it a dead letter by now, and the pre-roll that fits the first of them. Writes nothing.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from audiobus import Bus, Conversation, ConversationState, Entry, EntryId, decode_chunk
from audiobus.errors import BadEntryError
from audiocodec.packet import packet_facts
from audiocodec.span import PREROLL_SAMPLES, Span, join
from storage_api.errors import SourceGoneError
from storage_api.known_letters import KnownLetters
from storage_api.passage import Passage, Sound, narrow
from storage_api.timeline import Live, Piece, Play
from storage_api.unheard import Unheard

PAGE_ENTRIES: Final = 256
"""Entries read at once: about 1 MiB, and as many seconds."""
KEPT_BYTES: Final = 4 * 1024 * 1024
"""Packets of the tail that are kept in memory, about 20 minutes of speech. The tail is longer only where the bucket is away; what lies
beyond is read again when it is played."""
CONSISTENT_TRIES: Final = 3
"""How often the tail is read again because a batch was finished meanwhile. After that only the pre-roll may be missing."""


@dataclass(frozen=True, slots=True)
class LiveChunk:
    """One entry."""

    id: EntryId
    sample_rate: int
    """Hz."""
    channels: int
    span: Span
    """Without its packets where the tail is long: see KEPT_BYTES."""
    empty: bool
    """Whether the entry holds no packets at all."""


@dataclass(frozen=True, slots=True)
class LiveTail:
    """Everything that waits, in the order of ids."""

    state: ConversationState
    chunks: tuple[LiveChunk, ...]
    unheard: tuple[Unheard, ...] = ()
    """Entries that do not parse, and dead letters."""

    @property
    def damaged(self) -> bool:
        """Whether entries wait that do not parse: a pusher makes dead letters of them."""
        return any(one.why == "damaged" for one in self.unheard)

    @property
    def pieces(self) -> list[Piece]:
        """For the timeline; `Live.index` counts `chunks`."""
        return [Piece(live.span, Live(index)) for index, live in enumerate(self.chunks)]

    def right_before(self, index: int) -> list[EntryId]:
        """The entries before one out of which its first packets are decoded, the nearest first: 320 ms of them."""
        ids: list[EntryId] = []
        have = 0
        while index and have < PREROLL_SAMPLES:
            span, before = self.chunks[index].span, self.chunks[index - 1]
            if span.starts or not span.continues(before.span):
                break
            ids.append(before.id)
            have += before.span.samples
            index -= 1
        return ids

    async def load(self, bus: Bus, conversation: Conversation, passage: Passage) -> dict[int, Span]:
        """The spans of a passage and of the entry before it, by index, with their packets.

        SourceGoneError: entries that are in the bucket by now. BusUnavailableError.
        """
        first, last = _indices(passage)
        first = max(0, first - 1)
        spans = {index: self.chunks[index].span for index in range(first, last + 1)}
        if all(span.packets for span in spans.values()):
            return spans
        before = self.chunks[first].id
        found: dict[EntryId, Span] = {}
        after: EntryId | None = EntryId(before.epoch, before.offset - 1) if before.offset else None
        while True:
            entries = await bus.read(conversation, count=PAGE_ENTRIES, after=after, last=self.chunks[last].id)
            chunks, _ = await asyncio.to_thread(parse_entries, conversation.cid, entries)
            found |= {live.id: live.span for live in chunks}
            if len(entries) < PAGE_ENTRIES:
                break
            after = entries[-1].id
        for index in spans:
            span = found.get(self.chunks[index].id)
            if span is not None:
                spans[index] = replace(span, end_offset=self.chunks[index].span.end_offset)
            elif index >= _indices(passage)[0]:
                raise SourceGoneError("entries of the live tail were stored since they were read")
        return spans

    def sounds(self, passage: Passage, spans: dict[int, Span]) -> list[Sound]:
        """The packets of a passage, those that follow one another as one; `spans` as `load` gave them."""
        sounds: list[Sound] = []
        group: list[Play] = []
        for play in passage.plays:
            if group and not (
                group[-1].whole and play.whole and play.piece.span.continues(group[-1].piece.span)
            ):
                sounds.append(self._sound(group, spans))
                group = []
            group.append(play)
        return [*sounds, self._sound(group, spans)]

    def _sound(self, plays: Sequence[Play], spans: dict[int, Span]) -> Sound:
        indices = [_index(play) for play in plays]
        span = join(spans[index] for index in indices)[0]
        return narrow(span, self._before(indices[0], spans), plays[0].start_48k, plays[-1].end_48k)

    def _before(self, index: int, spans: dict[int, Span]) -> tuple[bytes, ...]:
        """The last 320 ms of packets before an entry, as far as they are known."""
        taken: deque[bytes] = deque()
        have = 0
        while True:
            span = self.chunks[index].span
            if span.starts:
                return tuple(taken)
            known = index > 0 and span.continues(self.chunks[index - 1].span)
            before = spans.get(index - 1, self.chunks[index - 1].span) if known else None
            for packet in reversed(before.packets if before else self._kept(span)):
                if have >= PREROLL_SAMPLES:
                    return tuple(taken)
                taken.appendleft(packet)
                have += packet_facts(packet).samples
            if before is None or not before.packets:
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


async def read_live_tail(
    bus: Bus, conversation: Conversation, known_letters: KnownLetters | None = None
) -> LiveTail:
    """The tail as it is now. `known_letters`: those that need not be read again. BusUnavailableError where Redis is away."""
    tries = CONSISTENT_TRIES
    while True:
        state = await bus.state(conversation)
        chunks, damaged = await _read(bus, conversation)
        tries -= 1
        after = await bus.state(conversation)
        if not tries or after.settled == state.settled:
            break
    # Last of all: what was buried meanwhile is in both, and not in neither.
    known_letters = KnownLetters() if known_letters is None else known_letters
    letters = await known_letters.of(bus, conversation) if after.dead_samples else []
    known = {live.id for live in chunks} | {one.id for one in letters}
    return LiveTail(state, chunks, (*letters, *(one for one in damaged if one.id not in known)))


def _index(play: Play) -> int:
    source = play.piece.source
    assert isinstance(source, Live)  # noqa: S101 - `passages` never mixes sources
    return source.index


def _indices(passage: Passage) -> tuple[int, int]:
    """The first and the last index; those between them are all in the passage."""
    return _index(passage.plays[0]), _index(passage.plays[-1])


async def _read(bus: Bus, conversation: Conversation) -> tuple[tuple[LiveChunk, ...], list[Unheard]]:
    chunks: list[LiveChunk] = []
    damaged: list[Unheard] = []
    kept = 0
    after: EntryId | None = None
    while True:
        entries = await bus.read(conversation, count=PAGE_ENTRIES, after=after)
        found, bad = await asyncio.to_thread(parse_entries, conversation.cid, entries)
        chunks += found if kept < KEPT_BYTES else [_without_packets(live) for live in found]
        kept += sum(len(packet) for live in found for packet in live.span.packets)
        damaged += bad
        if len(entries) < PAGE_ENTRIES:
            return tuple(await asyncio.to_thread(absorbed, chunks)), damaged
        after = entries[-1].id


def absorbed(chunks: Iterable[LiveChunk]) -> list[LiveChunk]:
    """Without the entries that hold no packets: those only move the offset, so what comes before them reaches up to theirs."""
    kept: list[LiveChunk] = []
    for live in chunks:
        if not live.empty:
            kept.append(live)
        elif kept and (kept[-1].id.epoch, kept[-1].span.end_offset) == (
            live.id.epoch,
            live.span.first_offset,
        ):
            before = kept.pop()
            kept.append(replace(before, span=replace(before.span, end_offset=live.span.end_offset)))
    return kept


def _without_packets(live: LiveChunk) -> LiveChunk:
    return replace(live, span=replace(live.span, packets=()))


def parse_entries(conversation_id: str, entries: Sequence[Entry]) -> tuple[list[LiveChunk], list[Unheard]]:
    """The chunks in these entries, and the entries that do not parse."""
    chunks: list[LiveChunk] = []
    damaged: list[Unheard] = []
    for before, entry in zip((None, *(one.id for one in entries)), entries, strict=False):
        data = entry.chunk
        if data is None:
            continue  # the opening of a session
        try:
            chunk = decode_chunk(data)
        except BadEntryError:
            first_offset = before.offset if before and before.epoch == entry.id.epoch else 0
            damaged.append(Unheard(entry.id, first_offset, entry.counted_samples, "damaged"))
            continue
        if chunk.first_offset <= entry.id.offset:
            span = chunk.span(conversation_id, entry.id.epoch, entry.id.offset)
            chunks.append(LiveChunk(entry.id, chunk.sample_rate, chunk.channels, span, not chunk.packets))
    return chunks, damaged
