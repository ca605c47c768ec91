"""From plays to packets: which packets a stretch needs, what must be decoded before them, and what is dropped.

Pure. Owns the grouping of plays into passages (what is fetched in one go) and the cut of a span to a stretch of it. What older
objects hold is PCM by the time it is played: `older_sound`. All sample counts are at 48 kHz.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from audiocodec.ogg import PackedPackets
from audiocodec.packet import packet_facts
from audiocodec.span import PREROLL_SAMPLES, Span
from storage_api.timeline import Live, Older, Play, Source, Stored

MAX_LIVE_SAMPLES: Final = 60 * 48_000
"""How much of the live tail is one passage: as much as a batch holds."""
MAX_OLDER_SAMPLES: Final = 60 * 48_000
"""How much of older objects is one passage, be they many or a part of one: it lies in memory as PCM."""
MAX_OLDER_OBJECTS: Final = 64
"""And so many objects, however short."""
AROUND_SAMPLES: Final = 2_400
"""50 ms: what a resampler is given of older audio before and after a passage. Its filter is shorter at any rate."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Plays in order of time: out of one object, or out of entries of the live tail or older objects that follow one another."""

    plays: tuple[Play, ...]
    before: Play | None = None
    """Of older audio: the stretch that comes right before it, wherever it lies, not played here."""
    after: Play | None = None
    """Likewise, after it."""

    @property
    def source(self) -> Source:
        """Where the first of them lies."""
        return self.plays[0].piece.source

    @property
    def samples(self) -> int:
        """What is played, without gaps."""
        return sum(play.samples for play in self.plays)


@dataclass(frozen=True, slots=True)
class Sound:
    """Packets to be played, cut to a stretch."""

    span: Span
    """`lead` and `trim` drop what lies before and after the stretch; its position and `samples` are the stretch's own."""
    preroll: tuple[bytes, ...]
    """Packets to be decoded and dropped before it; empty where the encoder began with the span, or nothing is known."""
    packed: PackedPackets | None = None
    """The span's packets where they were not parted; the span has none then."""

    @property
    def start_48k(self) -> int:
        """Unix time of its first played sample, at 48 kHz."""
        return self.span.start_48k

    @property
    def samples(self) -> int:
        """Played samples."""
        return self.span.samples

    @property
    def bytes_in_memory(self) -> int:
        """About."""
        return sum(map(len, self.span.packets)) + (len(self.packed.data) if self.packed else 0)


def passages(plays: Iterable[Play]) -> Iterator[Passage]:
    """The plays grouped by what is fetched together, in order."""
    groups: list[list[Play]] = []
    for play in _short(plays):
        if groups and _together(groups[-1], play):
            groups[-1].append(play)
        else:
            groups.append([play])
    for number, group in enumerate(groups):
        if not isinstance(group[0].piece.source, Older):
            yield Passage(tuple(group))
            continue
        before = _before(group[0], groups[number - 1][-1] if number else None)
        after = _after(group[-1], groups[number + 1][0] if number + 1 < len(groups) else None)
        yield Passage(tuple(group), before, after)


def _together(group: Sequence[Play], play: Play) -> bool:
    source, other = group[0].piece.source, play.piece.source
    if isinstance(source, Stored):
        return isinstance(other, Stored) and source.key == other.key
    last = group[-1].piece.source
    samples = play.end_48k - group[0].start_48k
    if isinstance(source, Older):
        follows = isinstance(other, Older) and play.start_48k == group[-1].end_48k
        return follows and samples <= MAX_OLDER_SAMPLES and len(group) < MAX_OLDER_OBJECTS
    follows = isinstance(other, Live) and isinstance(last, Live) and other.index == last.index + 1
    return follows and samples <= MAX_LIVE_SAMPLES


def _short(plays: Iterable[Play]) -> Iterator[Play]:
    """The plays, with those of long older objects in pieces."""
    for play in plays:
        rest = play
        while isinstance(play.piece.source, Older) and rest.samples > MAX_OLDER_SAMPLES:
            part = rest.start_48k + MAX_OLDER_SAMPLES
            yield replace(rest, end_48k=part)
            rest = replace(rest, start_48k=part)
        yield rest


def _before(play: Play, other: Play | None) -> Play | None:
    """What is heard right before the play; where that is no older audio, what its own object holds there."""
    if other is None or not isinstance(other.piece.source, Older) or other.end_48k != play.start_48k:
        other = replace(play, start_48k=play.piece.span.start_48k, end_48k=play.start_48k)
    return (
        replace(other, start_48k=max(other.start_48k, other.end_48k - AROUND_SAMPLES))
        if other.samples
        else None
    )


def _after(play: Play, other: Play | None) -> Play | None:
    """The same, right after it."""
    if other is None or not isinstance(other.piece.source, Older) or other.start_48k != play.end_48k:
        other = replace(play, start_48k=play.end_48k, end_48k=play.piece.span.end_48k)
    return (
        replace(other, end_48k=min(other.end_48k, other.start_48k + AROUND_SAMPLES))
        if other.samples
        else None
    )


def narrow(
    span: Span, preroll: Sequence[bytes], start_48k: int, end_48k: int, *, whole_preroll: bool = False
) -> Sound:
    """The packets of `span` that hold this stretch of it, and the 320 ms before them; or all before them, so that it decodes to what the span would.

    `preroll` are the packets before the span. The stretch must lie in the span. BadPacketError: packets that are none.
    """
    if start_48k == span.start_48k and end_48k == span.end_48k:
        return Sound(span, () if span.starts else tuple(preroll))
    durations = [packet_facts(packet).samples for packet in span.packets]
    first = _skip(durations, start_48k - span.start_48k + span.lead)
    last = len(durations) - _skip(durations[::-1], span.end_48k + span.trim - end_48k)
    last = max(last, first)
    first_48k = span.start_48k - span.lead + sum(durations[:first])
    last_48k = first_48k + sum(durations[first:last])
    before = (() if span.starts else tuple(preroll)) + span.packets[:first]
    cut = replace(
        span,
        first_sample=start_48k - span.run_start_ms * 48,
        samples=end_48k - start_48k,
        lead=start_48k - first_48k,
        trim=last_48k - end_48k,
        starts=span.starts and first == 0,
        packets=span.packets[first:last],
    )
    if span.starts and not first:
        return Sound(cut, ())
    return Sound(cut, before if whole_preroll else last_packets(before))


def last_packets(packets: Sequence[bytes], samples: int = PREROLL_SAMPLES) -> tuple[bytes, ...]:
    """As many packets from the end as last `samples`; all where they are fewer."""
    have, at = 0, len(packets)
    while at and have < samples:
        at -= 1
        have += packet_facts(packets[at]).samples
    return tuple(packets[at:])


def _skip(durations: Sequence[int], samples: int) -> int:
    """How many of the first packets lie wholly within the first `samples`."""
    count, have = 0, 0
    while count < len(durations) and have + durations[count] <= samples:
        have += durations[count]
        count += 1
    return count
