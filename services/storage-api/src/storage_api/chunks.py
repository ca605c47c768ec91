"""`GET …/{cid}/chunks`: every object and every entry that waits, in order of time, and the gaps.

Owns which row and which gap is on which page. A gap is all time of the audio that nothing plays, at its start and its end too, where
something there cannot be read.
"""

import asyncio
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from storage_api import wire
from storage_api.access import conversation_of
from storage_api.conversations import live_headers
from storage_api.live_tail import LiveChunk
from storage_api.moments import rfc3339_ms, unix_seconds
from storage_api.page_tokens import read_page_token, write_page_token
from storage_api.parameters import Parameters
from storage_api.recording import Recording
from storage_api.services import Services
from storage_api.stored_object import OlderFacts, StoredObject
from storage_api.timeline import Gap, Live, Source

OLDER_FORMATS: Final = {"pcm": "pcm_s16le", "opus": "opus"}
"""What the two kinds of content of the older formats are called: raw PCM, and Opus packets that lie in no Ogg."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A place in the list: what a page token holds."""

    start_ms: int
    name: str
    """Object name, or entry id."""
    reached_ms: int
    """The latest end of all chunks so far. What begins before this place and ends after it is new, and still listed: a batch that took
    the place of entries which waited."""
    twin: bool = False
    """As with a row."""


@dataclass(frozen=True)
class ChunkRow:
    """A chunk and where it is in the list. What is shown of it is made when it is asked for: of 10,000 a page has a hundred."""

    start_ms: int
    end_ms: int
    name: str
    lies: StoredObject | tuple[LiveChunk, Live]
    """What it is."""
    overlapping: frozenset[Source]
    """All of the recording that is not played, or not wholly."""
    protection: wire.Protection
    twin: bool = False
    """Whether it comes after another object of its name: the first bucket's."""

    @property
    def stored(self) -> StoredObject | None:
        """The object, where it is one."""
        return self.lies if isinstance(self.lies, StoredObject) else None

    @cached_property
    def sources(self) -> frozenset[Source]:
        """Where its audio lies."""
        if isinstance(self.lies, StoredObject):
            return frozenset(piece.source for piece in self.lies.pieces)
        return frozenset((self.lies[1],))

    @cached_property
    def chunk(self) -> wire.Chunk:
        """As it is shown."""
        if isinstance(self.lies, StoredObject):
            return _stored_chunk(self, self.lies)
        return _live_chunk(self)

    @property
    def overlapped(self) -> bool:
        """Whether it is not played, or not wholly."""
        return bool(self.overlapping) and bool(self.sources & self.overlapping)


_KEY: Final = attrgetter("start_ms", "name", "twin")
"""The order of the list."""


async def list_chunks(request: Request) -> Response:
    """A page of the chunks."""
    services = Services.of(request)
    await services.access.allow(request, "audio:read")
    conversation = conversation_of(request)
    parameters = Parameters(request.query_params, ("start", "end", "page_size", "page_token"))
    size, (start, end), token = parameters.page_size(), parameters.window(), parameters.text("page_token")
    bound = {"start": str(start), "end": str(end)}
    place = read_page_token(request.scope["path"], bound, token, Place) if token else None
    recording = await services.recordings.find(conversation)
    protection = await services.protection_of(recording) or "standard"
    page, after = await asyncio.to_thread(_page, recording, protection, (start, end), place, size)
    following = write_page_token(request.scope["path"], bound, after) if after else None
    body = wire.Chunks(chunks=page.chunks, gaps=page.gaps, next_page_token=following)
    return wire.json_response(body, live_headers(recording))


def _page(
    recording: Recording,
    protection: wire.Protection,
    window: tuple[int | None, int | None],
    place: Place | None,
    size: int,
) -> tuple[wire.Chunks, Place | None]:
    """What follows `place`, without its token, and where the next page goes on; None where nothing follows. For a thread: there may be 86,400."""
    rows = chunk_rows(recording, protection)
    if window != (None, None):
        rows = [row for row in rows if _within(row, *window)]
    following = rows if place is None else [row for row in rows if _follows(row, place)]
    page, following = following[:size], following[size:]
    low = page[0].start_ms if page and place is not None else None
    high = following[0].start_ms if following else None
    gaps = (_gap(gap, low, high) for gap in recording.gaps if _gap_within(gap, *window))
    shown = wire.Chunks(
        chunks=[row.chunk for row in page],
        gaps=[gap for gap in gaps if gap is not None],
        next_page_token=None,
    )
    if not following:
        return shown, None
    reached = max(*(row.end_ms for row in page), place.reached_ms if place else 0)
    return shown, Place(page[-1].start_ms, page[-1].name, reached, page[-1].twin)


def chunk_rows(recording: Recording, protection: wire.Protection) -> list[ChunkRow]:
    """Every chunk in order: all objects, and of the live tail what is in no object."""
    overlapped = recording.timeline.overlapped
    firsts = {stored.info.name for stored in recording.objects if not stored.second}
    rows = []
    for stored in recording.objects:
        start_ms, end_ms, name = stored.start_48k // 48, stored.end_48k // 48, stored.info.name
        sealed: wire.Protection = "enhanced" if stored.name.sealed else "standard"
        twin = stored.second and name in firsts
        rows.append(ChunkRow(start_ms, end_ms, name, stored, overlapped, sealed, twin))
    tail = recording.tail.chunks if recording.tail else ()
    known = overlapped | {play.piece.source for play in recording.timeline.plays} if tail else frozenset()
    for index, live in enumerate(tail):
        if Live(index) in known:
            span, lies = live.span, (live, Live(index))
            rows.append(ChunkRow(span.start_ms, span.end_ms, str(live.id), lies, overlapped, protection))
    return sorted(rows, key=_KEY)


def rows_at(recording: Recording, timestamps_ms: tuple[int, ...]) -> list[ChunkRow]:
    """For each time those that begin there; else the one that is played there; else those that hold it, and are not played."""
    rows = chunk_rows(recording, "standard")
    beginning: dict[int, list[ChunkRow]] = {}
    for row in rows:
        beginning.setdefault(row.start_ms, []).append(row)
    starts = [row.start_ms for row in rows]  # in this order they are listed
    longest_ms = max((row.end_ms - row.start_ms for row in rows), default=0)
    found: dict[tuple[int, str, bool], ChunkRow] = {}
    for at_ms in dict.fromkeys(timestamps_ms):
        there = beginning.get(at_ms)
        if there is None:
            near = rows[bisect_right(starts, at_ms - longest_ms) : bisect_left(starts, at_ms)]
            holding = [row for row in near if at_ms < row.end_ms]
            playing = recording.timeline.playing(at_ms * 48)
            there = [row for row in holding if playing in row.sources] or holding
        found |= {_KEY(row): row for row in there}
    return list(found.values())


def _stored_chunk(row: ChunkRow, stored: StoredObject) -> wire.Chunk:
    return wire.Chunk(
        timestamp=unix_seconds(row.start_ms),
        start=rfc3339_ms(row.start_ms),
        end=rfc3339_ms(row.end_ms),
        duration_ms=row.end_ms - row.start_ms,
        path=row.name,
        size=stored.size,
        is_batch=stored.name.is_batch,
        format=_format(stored),
        protection=row.protection,
        state="stored",
        overlapped=row.overlapped,
        unreadable=stored.reason,
    )


def _format(stored: StoredObject) -> str:
    facts = stored.verdict.facts
    if isinstance(facts, OlderFacts):
        return OLDER_FORMATS[facts.codec]
    return "unknown" if facts is None else "ogg_opus"


def _live_chunk(row: ChunkRow) -> wire.Chunk:
    return wire.Chunk(
        timestamp=unix_seconds(row.start_ms),
        start=rfc3339_ms(row.start_ms),
        end=rfc3339_ms(row.end_ms),
        duration_ms=row.end_ms - row.start_ms,
        path=None,
        size=None,
        is_batch=False,
        format="opus",
        protection=row.protection,
        state="live",
        overlapped=row.overlapped,
        unreadable=None,
    )


def _within(row: ChunkRow, start_48k: int | None, end_48k: int | None) -> bool:
    # Of a row without a length, nothing is known but its start.
    after = start_48k is None or row.end_ms * 48 > start_48k or row.start_ms * 48 >= start_48k
    return after and (end_48k is None or row.start_ms * 48 < end_48k)


def _gap_within(gap: Gap, start_48k: int | None, end_48k: int | None) -> bool:
    return (start_48k is None or gap.end_48k > start_48k) and (end_48k is None or gap.start_48k < end_48k)


def _follows(row: ChunkRow, place: Place) -> bool:
    return _KEY(row) > (place.start_ms, place.name, place.twin) or row.end_ms > place.reached_ms


def _gap(gap: Gap, low_ms: int | None, high_ms: int | None) -> wire.Gap | None:
    """The gap, if it belongs to the page from `low_ms` to before `high_ms` and lasts a millisecond.

    It is on the page of the chunk before it, or of the one in it that cannot be read.
    """
    start_ms, end_ms = gap.start_48k // 48, gap.end_48k // 48
    if (
        end_ms <= start_ms
        or (low_ms is not None and start_ms < low_ms)
        or (high_ms is not None and start_ms >= high_ms)
    ):
        return None
    return wire.Gap(start=rfc3339_ms(start_ms), end=rfc3339_ms(end_ms), duration_ms=end_ms - start_ms)
