"""The timeline of one conversation: which samples are played, from where, in what order, each recorded byte once.

Pure: facts in, plays out. Knows neither bucket nor Redis, reads no packets. All positions are samples at 48 kHz since 1970
(`_48k`), exact: a span's run start and first sample give them, never a rounded millisecond.

The identity of a recorded byte is (conversation it was recorded into, epoch, offset). Where one lies in the live tail and in
the bucket (a cut that is put but not finished), or in two objects, it is played once. Where two recordings overlap in time,
the one that starts earlier is played. An older object has no session: it is one of its own, called after the object.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Final, TypeAlias

from audiocodec.span import Span

ObjectKey: TypeAlias = tuple[str, bool]
"""The name of an object, and whether the one in the second bucket is meant where both have the name."""


_NOWHERE: Final[ObjectKey] = ("", False)


@dataclass(frozen=True, slots=True)
class Stored:
    """In an object of the bucket."""

    name: str
    index: int
    """Which of the object's spans."""
    second: bool = False

    @property
    def key(self) -> ObjectKey:
        """Which object."""
        return self.name, self.second


@dataclass(frozen=True, slots=True)
class Live:
    """In the live tail."""

    index: int
    """Which of the tail's spans."""


@dataclass(frozen=True, slots=True)
class Older:
    """In an object of an older format."""

    name: str
    second: bool = False
    index: ClassVar[int] = 0

    @property
    def key(self) -> ObjectKey:
        """Which object."""
        return self.name, self.second


Source: TypeAlias = Stored | Live | Older


@dataclass(frozen=True, slots=True)
class Piece:
    """A span and where its packets are. `span.packets` may be empty: only the numbers count here."""

    span: Span
    source: Source


@dataclass(frozen=True, slots=True)
class Play:
    """A stretch of a piece that is played."""

    piece: Piece
    start_48k: int
    end_48k: int
    """Equal to the start for a piece that holds nothing but an encoder's lead-in."""

    @property
    def samples(self) -> int:
        """Length at 48 kHz."""
        return self.end_48k - self.start_48k

    @property
    def whole(self) -> bool:
        """Whether all of the piece is played."""
        return self.start_48k == self.piece.span.start_48k and self.end_48k == self.piece.span.end_48k


@dataclass(frozen=True, slots=True)
class Gap:
    """Time in which nothing was recorded, or nothing that can be read."""

    start_48k: int
    end_48k: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Plays in order of time, none overlapping another."""

    plays: tuple[Play, ...]
    overlapped: frozenset[Source] = frozenset()
    """Where pieces lie that are not played, or not wholly, because another recording has their time."""

    @property
    def start_48k(self) -> int:
        """The first sample. IndexError for an empty timeline."""
        return self.plays[0].start_48k

    @property
    def end_48k(self) -> int:
        """The moment after the last sample. IndexError for an empty timeline."""
        return self.plays[-1].end_48k

    @property
    def samples(self) -> int:
        """What is played, without gaps, at 48 kHz."""
        return sum(play.samples for play in self.plays)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The holes between plays, down to one sample."""
        return self.holes(self.start_48k, self.end_48k) if self.plays else ()

    def holes(self, start_48k: int, end_48k: int) -> tuple[Gap, ...]:
        """The time from `start_48k` up to `end_48k` in which nothing is played, down to one sample."""
        found = []
        reached = start_48k
        for at in range(bisect_right(self.plays, start_48k, key=lambda play: play.end_48k), len(self.plays)):
            play = self.plays[at]
            if play.start_48k >= end_48k:
                break
            if play.start_48k > reached:
                found.append(Gap(reached, play.start_48k))
            reached = play.end_48k
        if reached < end_48k:
            found.append(Gap(reached, end_48k))
        return tuple(found)

    def window(self, start_48k: int | None, end_48k: int | None) -> "Timeline":
        """What is played from `start_48k` up to `end_48k`, cut to the sample; None leaves a side open."""
        if start_48k is None and end_48k is None:
            return self
        plays = []
        for play in self.plays:
            start = play.start_48k if start_48k is None else max(play.start_48k, start_48k)
            end = play.end_48k if end_48k is None else min(play.end_48k, end_48k)
            if start < end or (start == end and not play.samples):
                plays.append(replace(play, start_48k=start, end_48k=end))
        return replace(self, plays=tuple(plays))

    def playing(self, at_48k: int) -> Source | None:
        """Out of what the sample at this time is played; None in a gap."""
        index = bisect_right(self.plays, at_48k, key=lambda play: play.start_48k) - 1
        if index < 0 or self.plays[index].end_48k <= at_48k:
            return None
        return self.plays[index].piece.source


def older_piece(name: str, start_ms: int, samples: int, rank: int, *, second: bool = False) -> Piece:
    """The one piece of an older object; `samples` at 48 kHz.

    No conversation is called like an object, so its session is like no other. Of sessions that begin together the one with the lower
    epoch is played, and epochs are times: as an epoch, `rank` puts the best of several objects first.
    """
    return Piece(Span(name, rank, 0, samples, start_ms, 0, samples, 0, 0, True, ()), Older(name, second))


def timeline(pieces: Iterable[Piece]) -> Timeline:
    """The timeline of these pieces, which may come in any order, twice, and cut differently at each place."""
    runs = [run for session in _sessions(pieces) for run in _runs(_once(session))]
    runs.sort(key=lambda run: (run[0].start_48k, run[0].piece.span.epoch, run[0].piece.span.conversation))
    plays: list[Play] = []
    overlapped: set[Source] = set()
    cursor: int | None = None
    for run in runs:
        for play in run:
            if cursor is not None and play.start_48k < cursor:
                overlapped.add(play.piece.source)
                if play.end_48k <= cursor:
                    continue
                plays.append(replace(play, start_48k=cursor))
            else:
                plays.append(play)
            cursor = play.end_48k
    return Timeline(tuple(plays), frozenset(overlapped))


def _sessions(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """The pieces of one session after another, by offset; of those that begin together the longest first, stored before live."""

    def place(piece: Piece) -> tuple[int, int, bool, ObjectKey, int]:
        source, span = piece.source, piece.span
        if isinstance(source, Live):
            return span.first_offset, -span.end_offset, True, _NOWHERE, source.index
        return span.first_offset, -span.end_offset, False, (source.name, source.second), source.index

    sessions: dict[tuple[str, int], list[Piece]] = {}
    for piece in pieces:
        sessions.setdefault((piece.span.conversation, piece.span.epoch), []).append(piece)
    for key in sorted(sessions):
        yield sorted(sessions[key], key=place)


def _once(session: list[Piece]) -> Iterator[Play]:
    """Each byte of the session once: what lies before the offset that is reached already is left out."""
    reached: Piece | None = None
    for piece in session:
        span = piece.span
        start = span.start_48k
        if reached is not None and span.first_offset < reached.span.end_offset:
            if span.end_offset <= reached.span.end_offset:
                continue
            start = _start_after(reached.span, span)
        reached = piece
        yield Play(piece, start, span.end_48k)


def _start_after(before: Span, span: Span) -> int:
    """Where `span` goes on after the bytes that `before` holds as well."""
    if before.run_start_ms == span.run_start_ms:
        # One clock: an end offset means exactly the byte whose sample comes last.
        return min(max(before.end_48k, span.start_48k), span.end_48k)
    # The same bytes on two clocks: their share of the span's bytes is the best that is known.
    share = span.samples * (before.end_offset - span.first_offset) // (span.end_offset - span.first_offset)
    return span.start_48k + share


def _runs(plays: Iterable[Play]) -> Iterator[list[Play]]:
    """Plays of one session, parted where one does not begin at the very sample at which the one before ended.

    Overlaps are decided run by run, so that they do not depend on how runs were cut into batches.
    """
    run: list[Play] = []
    for play in plays:
        if run and play.start_48k != run[-1].end_48k:
            yield run
            run = []
        run.append(play)
    if run:
        yield run
