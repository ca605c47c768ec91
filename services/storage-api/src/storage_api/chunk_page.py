"""Which chunks and which gaps are on which page of the list. Pure.

Owns the places at which pages begin, and whether a part of the conversation tells enough for a page: it must then hold the very same as out of the
whole. A gap is all time of the audio that nothing plays, at its start and its end too, where something there cannot be read.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from storage_api import wire
from storage_api.chunks import KEY, ChunkRow, chunk_rows
from storage_api.moments import rfc3339_ms
from storage_api.recording import Recording
from storage_api.timeline import Gap
from storage_api.watershed import END_MS, FIRST_MS, last_watershed, sorts_by_time

LONGEST_PACE_US: Final = 3_600_000_000
"""That is believed between two chunks."""


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
    watershed_48k: Annotated[int, msgspec.Meta(ge=FIRST_MS * 48, lt=END_MS * 48)] | None = None
    """What follows this place can be told without what lies before this time; None where nothing less than all of it will do."""
    pace_us: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_PACE_US)] = 0
    """About so long after each chunk of the page before this place the next one began: the next page is looked for accordingly."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    window_48k: tuple[int | None, int | None]
    """From when and up to when; None leaves a side open."""
    after: Place | None
    size: int
    """Chunks, at the most."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered."""

    chunks: list[wire.Chunk]
    gaps: list[wire.Gap]
    place: Place | None
    """Where the next page goes on; None where nothing follows."""


def page_of_all(recording: Recording, protection: wire.Protection, wanted: Wanted) -> Page:
    """The page out of the whole conversation. Where it begins with the first chunk, the rest is looked at only as far as that takes. For a thread."""
    page = None
    if wanted.after is None and wanted.window_48k[0] is None and sorts_by_time(recording):
        page = page_of(recording.up_to(wanted.size + 1), protection, wanted)
    page = page or page_of(recording, protection, wanted)
    assert page is not None  # noqa: S101 - nothing is missing in the whole
    return page


def page_of(recording: Recording, protection: wire.Protection, wanted: Wanted) -> Page | None:
    """The page. None where the recording is a part that ends too early to tell what is on it. For a thread: there may be 86,400 chunks."""
    start_48k, end_48k = wanted.window_48k
    place = wanted.after
    rows = chunk_rows(recording, protection)
    if wanted.window_48k != (None, None):
        rows = [row for row in rows if _within(row, start_48k, end_48k)]
    following = rows if place is None else [row for row in rows if _follows(row, place)]
    shown, following = following[: wanted.size], following[wanted.size :]
    high_ms = following[0].start_ms if following else None
    if not _reaches(recording, shown, end_48k if high_ms is None else high_ms * 48):
        return None
    gaps: list[wire.Gap] = []
    if shown:
        low_ms = shown[0].start_ms if place is not None else None
        found = (_gap(gap, low_ms, high_ms) for gap in recording.gaps if _gap_within(gap, start_48k, end_48k))
        gaps = [gap for gap in found if gap is not None]
    chunks = [row.chunk for row in shown]
    return Page(chunks, gaps, _place(recording, place, shown, high_ms) if high_ms is not None else None)


def _place(recording: Recording, before: Place | None, shown: list[ChunkRow], next_ms: int) -> Place:
    """Where the page after the one that shows these goes on; what follows begins at `next_ms`."""
    last = shown[-1]
    reached_ms = max(*(row.end_ms for row in shown), before.reached_ms if before else 0)
    # Before the watershed of a part lies what is not known.
    first_48k = before.watershed_48k if before and recording.from_ms is not None else None
    sorted_by_time = recording.from_ms is not None or sorts_by_time(recording)
    watershed_48k = last_watershed(recording, first_48k or 0, next_ms) if sorted_by_time else None
    pace_us = (next_ms - shown[0].start_ms) * 1000 // len(shown)
    pace_us = min(max(0, pace_us), LONGEST_PACE_US)
    return Place(last.start_ms, last.name, reached_ms, last.twin, watershed_48k, pace_us)


def _reaches(recording: Recording, shown: list[ChunkRow], end_48k: int | None) -> bool:
    """Whether all is there that the rows shown, and the gaps that begin before `end_48k`, depend on: what begins later, where it is missing, does not count."""
    if recording.before_ms is None:
        return True
    known_48k = recording.before_ms * 48
    if end_48k is None or end_48k > known_48k:
        return False
    starts = [span.start_48k for row in shown if row.stored is not None for span in row.stored.spans[-1:]]
    heard = (play.end_48k for play in reversed(recording.timeline.plays) if play.start_48k < known_48k)
    return max(starts, default=0) < known_48k and next(heard, 0) >= end_48k


def _within(row: ChunkRow, start_48k: int | None, end_48k: int | None) -> bool:
    # Of a row without a length, nothing is known but its start.
    after = start_48k is None or row.end_ms * 48 > start_48k or row.start_ms * 48 >= start_48k
    return after and (end_48k is None or row.start_ms * 48 < end_48k)


def _gap_within(gap: Gap, start_48k: int | None, end_48k: int | None) -> bool:
    return (start_48k is None or gap.end_48k > start_48k) and (end_48k is None or gap.start_48k < end_48k)


def _follows(row: ChunkRow, place: Place) -> bool:
    return KEY(row) > (place.start_ms, place.name, place.twin) or row.end_ms > place.reached_ms


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
