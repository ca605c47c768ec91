"""What Redis holds of a conversation that is to be cut: the live tail, the dead letters, and the pre-roll for the next batch.

Owns that nothing of the cut is in Redis any more, nor on its way from there to the bucket, before objects take the place of others: what waits is stored
first (so that it can be cut), single chunks are dropped, letters discarded, and a pre-roll with some of the cut in it goes, with the cut built on it.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from audiobus import Bus, Conversation, Entry, EntryId, decode_chunk
from audiobus.cut import decode_cut
from audiobus.dead_letters import look
from audiobus.deletions import discard, drop_cut, expunge, looked_at
from audiobus.errors import BadEntryError
from audiobus.letter import Letter
from audiobus.named_cuts import cuts_of, speaks_of
from audiobus.state import PreRoll
from audiocodec.packet import packet_durations
from audiocodec.span import Span
from servicekit.problem import ProblemError
from storage_api.cutting.name_owner import own_name
from storage_api.cutting.wanted import Wanted
from storage_api.flush import REASON, store_up_to
from storage_api.live_tail import LiveChunk, read_live_tail
from storage_api.services import Services
from storage_api.wall_clock import now_ms

CUTS_S: Final = 10.0
"""So long a pusher may take to be done with dead letters that it has put."""
PAUSE_S: Final = 0.1
FLUSHES: Final = 3
"""What waits is stored so often at the most: a chunk may still come that lies before others."""

log = logging.getLogger(__name__)


async def store_what_waits(
    services: Services, conversation: Conversation, wanted: Wanted, doomed: Iterable[Span]
) -> bool:
    """Has what waits stored as far as some of it is wanted, or lies in an object already that goes; whether there was any.

    ProblemError 504 `flush_timeout`; BusUnavailableError.
    """
    objects = tuple(doomed)
    for number in range(FLUSHES):
        tail = await read_live_tail(services.bus, conversation)
        # In a thread: of a day that waits beside a thousand objects that takes a second.
        last = await asyncio.to_thread(_last_of, tail.chunks, wanted, objects)
        if last is None or not await store_up_to(services, conversation, last):
            return number > 0
    return True


def _last_of(chunks: Sequence[LiveChunk], wanted: Wanted, objects: Iterable[Span]) -> EntryId | None:
    """The last that is wanted, or lies in one of these objects already."""
    held: dict[tuple[str, int], list[Span]] = {}
    for one in objects:
        held.setdefault((one.conversation, one.epoch), []).append(one)
    for live in reversed(chunks):
        span = live.span
        if wanted.touches_span(span):
            return live.id
        # Put and not finished: it is counted as stored only when it has left the buffer.
        for one in held.get((span.conversation, span.epoch), ()):
            if one.first_offset < span.end_offset and span.first_offset < one.end_offset:
                return live.id
    return None


async def await_cuts(services: Services, conversation: Conversation, names: Collection[str]) -> bool:
    """Returns when no cut speaks of these objects, which are about to be deleted: nothing may be settled by them. Whether one did.

    ProblemError 504 `flush_timeout`. BusUnavailableError.
    """
    waited = False
    try:
        async with asyncio.timeout(CUTS_S):
            # Also one of another version: it matters only if it speaks of one of these.
            while _any_in(await cuts_of(services.bus, conversation), names):
                await services.hints.due(conversation, now_ms())
                await services.hints.ready(conversation, REASON)
                waited = True
                await asyncio.sleep(PAUSE_S)
    except TimeoutError as error:
        detail = (
            "some of it is just being stored, and not done yet; it goes on, and asking again does no harm"
        )
        raise ProblemError(504, "flush_timeout", detail) from error
    return waited


def _any_in(cuts: Sequence[bytes], names: Iterable[str]) -> bool:
    return bool(cuts) and any(speaks_of(cuts, name) for name in names)


async def drop_chunk(services: Services, conversation: Conversation, entry_id: EntryId) -> int | None:
    """Deletes one chunk that waits; how many samples, None where it waits no more. BadEntryError, StoreError, BusUnavailableError."""
    bus = services.bus
    after = EntryId(entry_id.epoch, entry_id.offset - 1) if entry_id.offset else None
    while True:
        found: list[Entry] = await bus.read(conversation, count=1, after=after, last=entry_id)
        if not found or found[0].id != entry_id:
            return None
        entry, cut = found[0], (await bus.state(conversation)).cut
        name = await own_name(services.bucket, conversation, decode_cut(cut)) if cut else ""
        async with looked_at(bus, conversation, now_ms()):
            samples = await expunge(
                bus,
                conversation,
                {entry.id: entry.counted_samples},
                cut=cut,
                name=name,
                preroll=False,
                now_ms=now_ms(),
            )
        if samples is not None:
            return samples if samples or not entry.counted_samples else None


async def drop_unheard(services: Services, conversation: Conversation, entry_id: EntryId) -> int:
    """Deletes an entry that does not parse, or the dead letter that it is; how many samples. Else as with both."""
    waited = await drop_chunk(services, conversation, entry_id)
    if waited is not None:
        return waited
    return await discard_letter(services, conversation, entry_id) or 0


async def letters_of(bus: Bus, conversation: Conversation, wanted: Wanted) -> dict[EntryId, Span]:
    """The dead letters that hold some of it, each with what is in it. Of one that cannot be read nobody knows the time: it stays. BusUnavailableError."""
    letters = [one.letter async for one in look(bus, conversation) if one.letter is not None]
    spans = ((letter.entry.id, _span_of(conversation, letter)) for letter in letters)
    return {
        entry_id: replace(span, packets=())
        for entry_id, span in spans
        if span is not None and wanted.touches_span(span)
    }


async def discard_letter(services: Services, conversation: Conversation, entry_id: EntryId) -> int | None:
    """Deletes a dead letter as a whole; how many samples, 0 where it is there no more; None: it stays. StoreError, BusUnavailableError."""
    own = partial(own_name, services.bucket, conversation)
    try:
        bus = services.bus
        return await discard(bus, conversation, entry_id, now_ms(), own_name=own) or 0
    except BadEntryError as error:
        # Another letter of its session is none of ours: somebody put it there by hand. The rest goes on.
        log.warning("a dead letter that was deleted cannot be dropped", extra={"error": str(error)})
        return None


def _span_of(conversation: Conversation, letter: Letter) -> Span | None:
    try:
        chunk = decode_chunk(letter.entry.chunk or b"")
    except BadEntryError:
        return None
    return chunk.span(conversation.cid, letter.entry.id.epoch, letter.entry.id.offset)


async def drop_preroll(
    services: Services, conversation: Conversation, holds: Callable[[PreRoll], bool]
) -> bool:
    """Drops the pre-roll that is kept for the next batch, if it `holds` some of the cut, and the cut that stands on it; whether there was one.

    BadEntryError, StoreError, BusUnavailableError.
    """
    bus, dropped = services.bus, False
    while True:
        state = await bus.state(conversation)
        if state.preroll is None or not holds(state.preroll):
            return dropped
        raw = state.cut
        name = await own_name(services.bucket, conversation, decode_cut(raw)) if raw else ""
        async with looked_at(bus, conversation, now_ms()):
            gone = await expunge(bus, conversation, {}, cut=raw, name=name, preroll=True, now_ms=now_ms())
            if gone is None:
                continue  # another cut stands by now
            dropped = True
            if raw:
                # Its object would have that pre-roll: made anew, under another name, it has none.
                await drop_cut(bus, conversation, raw, name, now_ms())


def preroll_samples(preroll: PreRoll) -> int:
    """How long it is, at 48 kHz."""
    return sum(packet_durations(preroll.packets))
