"""Which conversations a user has, newest first: from one listing of names, and what Redis says is live.

Owns the order and the paging of the list. Live first, then the bucket, as for one conversation: what is flushed in between is then in
both. A name carries start and end, so that no object needs to be opened to know the order.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from audiobus import Bus, Conversation
from audiobus.dead_letters import having
from audiobus.errors import BusUnavailableError
from audiostore.errors import StoreError
from audiostore.legacy import SAMPLE_RATE, AudioName, samples_by_size
from storage_api.bucket import Bucket
from storage_api.known_letters import KnownLetters
from storage_api.live_tail import absorbed, parse_entries
from storage_api.recording import store_unavailable
from storage_api.stored_object import MAX_NAMED_MS
from storage_api.turns import TURN
from storage_api.unheard import Placed, Unheard, placed

FIRST_ENTRIES: Final = 8
"""Entries of a buffer that are read to learn when its audio begins: the openings of a few sessions, and a chunk."""
LIVE_AT_ONCE: Final = 16


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A place in the list: what a page token holds."""

    start_ms: int
    conversation_id: str


@dataclass(slots=True)
class Entry:
    """A conversation as names tell it."""

    conversation_id: str
    start_ms: int
    end_ms: int
    objects: int = 0
    unknown: int = 0
    """Those of them that were not looked at yet."""
    bytes: int = 0
    named_ms: int = 0
    """Sum of the objects' lengths by their names and sizes, gaps inside them included."""
    sealed: bool = False
    """Whether any of its objects is."""
    buffered: bool = False

    @property
    def key(self) -> tuple[int, str]:
        """Newest first; then by id."""
        return -self.start_ms, self.conversation_id


@dataclass(slots=True)
class Catalogue:
    """All of a user's conversations. `live_known` is false where Redis is away."""

    entries: dict[str, Entry] = field(default_factory=dict)
    live_known: bool = True

    def add(self, conversation_id: str, start_ms: int, end_ms: int) -> Entry:
        """The entry of the conversation, stretched over this time."""
        entry = self.entries.setdefault(conversation_id, Entry(conversation_id, start_ms, end_ms))
        entry.start_ms = min(entry.start_ms, start_ms)
        entry.end_ms = max(entry.end_ms, end_ms)
        return entry

    def after(self, place: Place | None) -> list[Entry]:
        """What follows `place`, in order."""
        ordered = sorted(self.entries.values(), key=lambda entry: entry.key)
        if place is None:
            return ordered
        return [entry for entry in ordered if entry.key > (-place.start_ms, place.conversation_id)]


async def read_catalogue(
    bus: Bus, bucket: Bucket, uid: str, letters: KnownLetters, *, asked: bool = True
) -> Catalogue:
    """The catalogue as it is now; `letters`: those that need not be read again; `asked`: whether Redis is.

    ProblemError 503 `store_unavailable`.
    """
    catalogue = Catalogue(live_known=asked)
    try:
        if asked:
            await _add_live(catalogue, bus, uid, letters)
    except BusUnavailableError:
        catalogue.live_known = False
    try:
        left = TURN
        async for name, info, known in bucket.names(uid):
            left -= 1
            if not left:
                left = TURN
                await asyncio.sleep(0)  # a page came at once
            named_ms = told_ms(name, info.size)
            entry = catalogue.add(name.conversation_id, name.start_ms, name.start_ms + named_ms)
            entry.objects += 1
            entry.unknown += not known
            entry.bytes += info.size
            entry.sealed |= name.sealed
            entry.named_ms += named_ms
    except StoreError as error:
        raise store_unavailable(error) from error
    return catalogue


def told_ms(name: AudioName, size: int) -> int:
    """How long the object lasts, as far as its name and its size tell without looking at it.

    A second time in the name is the end of ours, and less than that of an older batch; without one the object is older, and of raw
    PCM its size tells. Of an Opus blob nothing does.
    """
    if name.last_ms is not None:
        return min(max(0, name.last_ms - name.start_ms), MAX_NAMED_MS)
    return (samples_by_size(name, size) or 0) * 1000 // SAMPLE_RATE


async def _add_live(catalogue: Catalogue, bus: Bus, uid: str, letters: KnownLetters) -> None:
    """Adds the conversations whose buffer holds audio, or that have dead letters. BusUnavailableError."""
    conversations = await bus.live(uid)
    idle = []
    for at in range(0, len(conversations), LIVE_AT_ONCE):
        group = conversations[at : at + LIVE_AT_ONCE]
        for conversation, first in zip(
            group, await asyncio.gather(*(_first_audio(bus, one) for one in group)), strict=True
        ):
            if first is None:
                idle.append(conversation)
            else:
                catalogue.add(conversation.cid, *first).buffered = True
    # After their buffers: an entry that was buried meanwhile is a letter by now.
    for conversation in await having(bus, idle):
        lost = placed(await letters.of(bus, conversation), (), conversation.cid)
        if lost:
            catalogue.add(conversation.cid, *_times(lost))


def _times(lost: Sequence[Placed]) -> tuple[int, int]:
    """From when to when, in unix ms, as far as it is known."""
    return min(one.start_48k for one in lost) // 48, max(one.end_48k for one in lost) // 48


async def _first_audio(bus: Bus, conversation: Conversation) -> tuple[int, int] | None:
    """Start and end in unix ms of the first audio that waits, be it damaged where all is; None where none does."""
    after, damaged = None, list[Unheard]()
    while entries := await bus.read(conversation, count=FIRST_ENTRIES, after=after):
        found, bad = parse_entries(conversation.cid, entries)
        damaged += bad[: FIRST_ENTRIES - len(damaged)]
        chunks = absorbed(found)
        if chunks:
            return min(live.span.start_ms for live in chunks), max(live.span.end_ms for live in chunks)
        after = entries[-1].id
    return _times(placed(damaged, (), conversation.cid)) if damaged else None
