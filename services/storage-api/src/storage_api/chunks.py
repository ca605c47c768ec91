"""The chunks of a recording: every object, every entry that waits, and every dead letter, in order of time. Pure.

Owns the order, and how each of them is shown.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Final

from storage_api import wire
from storage_api.live_tail import LiveChunk
from storage_api.moments import rfc3339_ms, unix_seconds
from storage_api.recording import Recording
from storage_api.stored_object import OlderFacts, StoredObject
from storage_api.timeline import Live, Source
from storage_api.unheard import Unheard

OLDER_FORMATS: Final = {"pcm": "pcm_s16le", "opus": "opus"}
"""What the two kinds of content of the older formats are called: raw PCM, and Opus packets that lie in no Ogg."""


@dataclass(frozen=True)
class ChunkRow:
    """A chunk and where it is in the list. What is shown of it is made when it is asked for: of 10,000 a page has a hundred."""

    start_ms: int
    end_ms: int
    name: str
    lies: StoredObject | tuple[LiveChunk, Live] | Unheard
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

    @property
    def live(self) -> LiveChunk | None:
        """The entry, where it is one that waits and can be heard."""
        return self.lies[0] if isinstance(self.lies, tuple) else None

    @property
    def unheard(self) -> Unheard | None:
        """What lies in Redis and cannot be heard, where it is that."""
        return self.lies if isinstance(self.lies, Unheard) else None

    @property
    def reason(self) -> str | None:
        """Why it cannot be read; None where it can."""
        if isinstance(self.lies, StoredObject):
            return self.lies.reason
        return self.lies.why if isinstance(self.lies, Unheard) else None

    @cached_property
    def sources(self) -> frozenset[Source]:
        """Where its audio lies."""
        if isinstance(self.lies, StoredObject):
            return frozenset(piece.source for piece in self.lies.pieces)
        return frozenset() if isinstance(self.lies, Unheard) else frozenset((self.lies[1],))

    @property
    def chunk(self) -> wire.Chunk:
        """As it is shown."""
        if isinstance(self.lies, StoredObject):
            return _stored_chunk(self, self.lies)
        return _live_chunk(self)

    @property
    def overlapped(self) -> bool:
        """Whether it is not played, or not wholly."""
        return bool(self.overlapping) and bool(self.sources & self.overlapping)


KEY: Final = attrgetter("start_ms", "name", "twin")
"""The order of the list."""


def chunk_rows(recording: Recording, protection: wire.Protection) -> list[ChunkRow]:
    """Every chunk in order: all objects, and of what lies in Redis all that is in no object."""
    overlapped = recording.timeline.overlapped
    firsts = {stored.info.name for stored in recording.objects if not stored.second}
    rows = []
    for stored in recording.objects:
        start_ms, end_ms, name = stored.start_48k // 48, stored.end_48k // 48, stored.info.name
        sealed: wire.Protection = "enhanced" if stored.name.sealed else "standard"
        twin = stored.second and name in firsts
        rows.append(ChunkRow(start_ms, end_ms, name, stored, overlapped, sealed, twin))
    for live, source in recording.waiting:
        span = live.span
        rows.append(
            ChunkRow(span.start_ms, span.end_ms, str(live.id), (live, source), overlapped, protection)
        )
    for one in recording.unheard:
        start_ms, end_ms, lost = one.start_48k // 48, one.end_48k // 48, one.unheard
        rows.append(ChunkRow(start_ms, end_ms, str(lost.id), lost, overlapped, protection))
    return sorted(rows, key=KEY)


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
        found |= {KEY(row): row for row in there}
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
        format="unknown" if row.unheard is not None and row.unheard.span is None else "opus",
        protection=row.protection,
        state="live",
        overlapped=row.overlapped,
        unreadable=row.reason,
    )
