"""What Redis holds of a conversation and nobody can hear: entries that do not parse, and dead letters. Pure.

Owns when each of them was recorded, as far as anything tells: its own chunk, where that can be read; else what is known of its session before it and
after it: an entry's id says up to which byte of the session it goes, and the books how long each of them lasts.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from audiobus import EntryId
from audiocodec.span import Span
from storage_api.moments import MAX_SECONDS
from storage_api.stored_object import MAX_NAMED_MS
from storage_api.timeline import Piece

LAST_48K: Final = MAX_SECONDS * 48_000
"""No time that is told is later."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """An entry of the buffer that does not parse, or a dead letter."""

    id: EntryId
    first_offset: int
    """Bytes of its session before it; 0 where nobody knows."""
    samples: int
    """What the books count for it, at 48 kHz; 0 where nothing tells."""
    why: Literal["damaged", "dead_letter"]
    span: Span | None = None
    """Its audio, without packets, where it can be read all the same: a letter's."""
    not_at_ms: frozenset[int] = field(default=frozenset(), compare=False)
    """Times by which others were deleted, unix ms: where its own time is worked out, it is listed at none of them, or nobody could mean it by that."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One of them and its time, at 48 kHz since 1970."""

    unheard: Unheard
    start_48k: int
    """The best that is known: of one with nothing of its session beside it, when that began by its epoch."""
    end_48k: int
    earliest_48k: int | None
    """It begins then or later; None where nobody knows."""
    latest_48k: int | None
    """It ends by then; None where nobody knows."""

    @property
    def told(self) -> bool:
        """Whether its time is more than a guess."""
        return self.earliest_48k is not None or self.latest_48k is not None

    def touches(self, start_48k: int | None, end_48k: int | None) -> bool:
        """Whether it may have any of this time; None leaves a side open."""
        if start_48k is not None and self.latest_48k is not None and self.latest_48k <= start_48k:
            return False
        return end_48k is None or self.earliest_48k is None or self.earliest_48k < end_48k


def placed(unheard: Iterable[Unheard], pieces: Iterable[Piece], conversation_id: str) -> tuple[Placed, ...]:
    """Each with its time, in order, without those whose bytes can be heard all the same: a letter that was stored after all is in both for a moment.

    `pieces`: all of the conversation that can be read.
    """
    by_session: dict[int, list[Unheard]] = {}
    for one in sorted(unheard, key=lambda one: one.id):
        by_session.setdefault(one.id.epoch, []).append(one)
    if not by_session:
        return ()
    known: dict[int, list[Span]] = {epoch: [] for epoch in by_session}
    for piece in pieces:
        if piece.span.conversation == conversation_id and piece.span.epoch in known:
            known[piece.span.epoch].append(piece.span)
    found = [one for epoch, some in by_session.items() for one in _in_session(some, known[epoch])]
    return tuple(sorted(found, key=lambda one: (one.start_48k, one.unheard.id)))


class _Session:
    """What is known of one session, by offset."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted(spans, key=lambda span: span.first_offset)
        self._firsts = [span.first_offset for span in self._spans]
        self._furthest: list[Span] = []
        """For each span, of all up to it the one that reaches furthest."""
        for span in self._spans:
            before = self._furthest[-1] if self._furthest else span
            self._furthest.append(span if span.end_offset >= before.end_offset else before)

    def at(self, offset: int) -> int:
        """How many begin before this byte's end."""
        return bisect_left(self._firsts, offset)

    def before(self, at: int) -> Span | None:
        """What reaches furthest of the first so many."""
        return self._furthest[at - 1] if at else None

    def after(self, at: int) -> Span | None:
        """The one that comes after the first so many."""
        return self._spans[at] if at < len(self._spans) else None

    def holds(self, offset: int) -> bool:
        """Whether the byte that ends there is in one of them."""
        before = self.before(self.at(offset))
        return before is not None and before.end_offset >= offset


def _in_session(unheard: Sequence[Unheard], spans: Sequence[Span]) -> Iterator[Placed]:
    heard = _Session(spans)
    lost = [one for one in unheard if not heard.holds(one.id.offset)]
    letters = [one.span for one in lost if one.span is not None]
    session = _Session([*spans, *letters])
    yield from (
        Placed(one, one.span.start_48k, one.span.end_48k, one.span.start_48k, one.span.end_48k)
        for one in lost
        if one.span is not None
    )
    holes: dict[int, list[Unheard]] = {}
    for one in lost:
        if one.span is None:
            holes.setdefault(session.at(one.id.offset), []).append(one)
    for at, some in holes.items():
        yield from _in_hole(some, session.before(at), session.after(at))


def _in_hole(some: Sequence[Unheard], before: Span | None, after: Span | None) -> Iterator[Placed]:
    """Those between two spans, in order: counted on from the one before them, or back from the one after them, by what the books count for each.

    What is missing between them, and what counts nothing, lasts as its bytes do in the span beside them, so that when one of them goes the others stay
    about where they are. All of it together has no more room than there is, and each begins before what follows.
    """
    parts = list(_parts(some, before, after))
    earliest = before.end_48k if before else None
    latest = after.start_48k if after else None
    low = 0 if earliest is None else earliest
    high = max(low, LAST_48K if latest is None else latest)
    whole = sum(lasts for _, lasts in parts)
    room = whole if earliest is None or latest is None else min(whole, high - low)
    if before is None and latest is not None:
        first = latest - whole
    else:
        first = some[0].id.epoch * 48 if earliest is None else earliest
    # Times are told in milliseconds, rounded down.
    begins_by = high if latest is None else max(0, latest // 48 * 48 - 1)
    passed = 0
    for one, lasts in parts:
        start, end = (first + at * room // max(1, whole) for at in (passed, passed + lasts))
        passed += lasts
        if one is not None:
            start = _apart(min(max(start, low), high, begins_by), min(high, begins_by), one.not_at_ms)
            yield Placed(one, start, max(start, min(max(end, low), high)), earliest, latest)


def _apart(start: int, latest: int, not_at_ms: frozenset[int]) -> int:
    """The start, or the next millisecond up to `latest` that is none of these; the start where all of them are."""
    at_ms = start // 48
    if at_ms not in not_at_ms:
        return start
    while at_ms in not_at_ms:
        at_ms += 1
    return at_ms * 48 if at_ms * 48 <= latest else start


def _parts(
    some: Sequence[Unheard], before: Span | None, after: Span | None
) -> Iterator[tuple[Unheard | None, int]]:
    """How long each lasts, at 48 kHz, and what is missing (None) before, between and after them."""
    beside = before or after
    if beside is not None:
        samples, size = beside.samples, beside.end_offset - beside.first_offset
    else:
        samples, size = (
            sum(one.samples for one in some),
            sum(one.id.offset - one.first_offset for one in some),
        )
    at = before.end_offset if before is not None else 0
    for one in some:
        # Of what counts nothing only its end is known: its bytes are as those that are missing.
        begins = min(one.first_offset, one.id.offset) if one.samples else one.id.offset
        if one.samples and not one.first_offset and beside is not None:
            begins = max(0, one.id.offset - one.samples * size // max(1, samples))
        if at < begins:
            yield None, (begins - at) * samples // max(1, size)
        yield one, min(one.samples, MAX_NAMED_MS * 48)
        at = max(at, one.id.offset)
    if after is not None and at < after.first_offset:
        yield None, (after.first_offset - at) * samples // max(1, size)
