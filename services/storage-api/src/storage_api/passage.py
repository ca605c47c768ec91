"""From plays to packets: which packets a stretch needs, what must be decoded before them, and what is dropped.

Pure. Owns the grouping of plays into passages (what is fetched in one go) and the cut of a span to a stretch of it.
All sample counts are at 48 kHz.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from audiocodec.packet import packet_facts
from audiocodec.span import PREROLL_SAMPLES, Span
from storage_api.timeline import Live, Play, Source, Stored

MAX_LIVE_SAMPLES: Final = 60 * 48_000
"""How much of the live tail is one passage: as much as a batch holds."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Plays in order of time out of one object, or out of entries of the live tail that follow one another."""

    plays: tuple[Play, ...]

    @property
    def source(self) -> Source:
        """Where the first of them lies."""
        return self.plays[0].piece.source


@dataclass(frozen=True, slots=True)
class Sound:
    """Packets to be played, cut to a stretch."""

    span: Span
    """`lead` and `trim` drop what lies before and after the stretch; its position and `samples` are the stretch's own."""
    preroll: tuple[bytes, ...]
    """Packets to be decoded and dropped before it; empty where the encoder began with the span, or nothing is known."""


def passages(plays: Iterable[Play]) -> Iterator[Passage]:
    """The plays grouped by what is fetched together, in order."""
    group: list[Play] = []
    for play in plays:
        if group and not _together(group, play):
            yield Passage(tuple(group))
            group = []
        group.append(play)
    if group:
        yield Passage(tuple(group))


def _together(group: Sequence[Play], play: Play) -> bool:
    source, other = group[0].piece.source, play.piece.source
    if isinstance(source, Stored):
        return isinstance(other, Stored) and source.name == other.name
    last = group[-1].piece.source
    follows = isinstance(other, Live) and isinstance(last, Live) and other.index == last.index + 1
    return follows and play.end_48k - group[0].start_48k <= MAX_LIVE_SAMPLES


def narrow(span: Span, preroll: Sequence[bytes], start_48k: int, end_48k: int) -> Sound:
    """The packets of `span` that hold this stretch of it, and the 320 ms before them.

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
    return Sound(cut, last_packets(before) if first or not span.starts else ())


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
