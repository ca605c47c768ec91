"""What is left of a batch, or of older audio, when something is cut out of it. Pure, and exact: the same cut always leaves the same.

Owns which packets go: each whose audio touches the cut, as a whole, so that never less goes than was asked for. What is left keeps its place on the
timeline and its identity; between its pieces lies a gap. A piece after a cut has no pre-roll: that would be what was cut out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from audiocodec.packet import packet_durations
from audiocodec.span import Span, preroll_after
from audiostore.batch import MAX_RUNS, Batch, fill
from storage_api.cutting.stretches import Stretches, run_of
from storage_api.cutting.wanted import Wanted
from storage_api.older_sound import STEP_48K

_MS_SAMPLES = 16
"""Samples of older audio in a millisecond: names begin with whole ones."""


@dataclass(frozen=True, slots=True)
class OlderPiece:
    """A stretch of older audio that stays."""

    start_ms: int
    pcm: bytes
    """s16le, mono, 16 kHz."""

    @property
    def end_ms(self) -> int:
        """The moment after its last sample, unix ms, rounded down."""
        return self.start_ms + len(self.pcm) // 2 // _MS_SAMPLES


def rest_of(batch: Batch, wanted: Wanted, clear: int | None = None) -> list[Batch]:
    """What is left of a batch, as batches: one mostly, none where all of it goes.

    `clear`: how many samples right before the batch may stay as its pre-roll; None for all that it has.

    Raises:
        BadPacketError: what is no Opus packet.
    """
    spans = [piece for span in batch.spans for piece in _pieces(span, wanted)]
    batches: list[Batch] = []
    for number, span in enumerate(spans):
        before = spans[number - 1] if number else None
        if before is not None and len(batches[-1].spans) < MAX_RUNS and fill(before, span) is not None:
            batches[-1] = replace(batches[-1], spans=(*batches[-1].spans, span))
            continue
        preroll: tuple[bytes, ...] = ()
        if before is None and _begins_alike(span, batch.spans[0]):
            preroll = _at_most(batch.preroll, clear)
        elif before is not None and _goes_on(before, span):
            preroll = preroll_after((), before)
        batches.append(replace(batch, preroll=preroll, spans=(span,)))
    return batches


def cut_from(batch_spans: Sequence[Span], rest: Sequence[Batch]) -> Stretches:
    """What of these spans is in none of the batches."""
    had, has = Stretches(), Stretches()
    for span in batch_spans:
        had.add_span(span)
    for batch in rest:
        for span in batch.spans:
            has.add_span(span)
    return had.without(has)


def older_rest(start_ms: int, pcm: bytes, wanted: Wanted) -> list[OlderPiece]:
    """What is left of older audio. A piece begins at a whole millisecond, as its name does: less than one may go beyond what was asked for."""
    begins, frames = start_ms * _MS_SAMPLES, len(pcm) // 2
    # In its own samples, those that are touched being cut as a whole.
    windows = tuple((start // STEP_48K, -(-end // STEP_48K)) for start, end in wanted.windows)
    pieces = []
    for start, end in Wanted(windows).left_of(begins, begins + frames):
        first = -(-start // _MS_SAMPLES) * _MS_SAMPLES
        if first < end:
            piece = pcm[2 * (first - begins) : 2 * (end - begins)]
            pieces.append(OlderPiece(first // _MS_SAMPLES, piece))
    return pieces


def _pieces(span: Span, wanted: Wanted) -> Iterator[Span]:
    """What stays of a span, in order."""
    if not wanted.touches_span(span):
        yield span
        return
    wanted = wanted.of(span)
    each = packet_durations(span.packets)
    ends = list(accumulate(each, initial=span.start_48k - span.lead))
    stays = _staying(span, ends, wanted)
    first = 0
    while first < len(stays):
        if not stays[first]:
            first += 1
            continue
        last = first
        while last < len(stays) and stays[last]:
            last += 1
        yield _piece(span, each, ends, first, last)
        first = last


def _staying(span: Span, ends: Sequence[int], wanted: Wanted) -> list[bool]:
    """For each packet whether it stays. One that plays nothing (an encoder's lead-in, the padding behind its end) goes with its neighbour."""
    played = [(max(start, span.start_48k), min(end, span.end_48k)) for start, end in pairwise(ends)]
    heard = [number for number, (start, end) in enumerate(played) if start < end]
    if not heard:
        return [False] * len(played)
    stays = {number: not wanted.touches(*played[number]) for number in heard}
    return [stays[min(max(number, heard[0]), heard[-1])] for number in range(len(played))]


def _piece(span: Span, each: Sequence[int], ends: Sequence[int], first: int, last: int) -> Span:
    """The packets from `first` up to before `last` as a span of their own."""
    start, end = max(ends[first], span.start_48k), min(ends[last], span.end_48k)
    begins, over = _offsets(span, each, first, last)
    return replace(
        span,
        first_offset=begins,
        end_offset=over,
        first_sample=start - span.run_start_ms * 48,
        samples=end - start,
        lead=start - ends[first],
        trim=ends[last] - end,
        starts=span.starts and first == 0,
        packets=span.packets[first:last],
    )


def _offsets(span: Span, each: Sequence[int], first: int, last: int) -> tuple[int, int]:
    """The bytes of the session that the piece stands for: its share, by time, rounded to its own side.

    Where a session's bytes are the packets themselves that is near; nothing but the order of pieces, and that none reaches into another, hangs on it.
    """
    size, whole = span.end_offset - span.first_offset, sum(each)
    begins = span.first_offset + -(-size * sum(each[:first]) // whole)
    over = span.first_offset + size * sum(each[:last]) // whole
    # No piece is without a byte, as long as there is one for it.
    return begins, max(over, min(begins + 1, span.end_offset))


def _begins_alike(span: Span, first: Span) -> bool:
    """Whether the span begins with the very first packet of the batch."""
    return (*run_of(span), span.first_sample, span.lead) == (*run_of(first), first.first_sample, first.lead)


def _goes_on(before: Span, span: Span) -> bool:
    """Whether the encoder of the one made the other right after it, be there a gap between them or not."""
    follows = (before.conversation, before.epoch, before.end_offset) == (
        span.conversation,
        span.epoch,
        span.first_offset,
    )
    return follows and not span.starts and not before.trim


def _at_most(packets: tuple[bytes, ...], samples: int | None) -> tuple[bytes, ...]:
    """As many from the end as last no longer than that."""
    if samples is None:
        return packets
    each = packet_durations(packets)
    have, at = 0, len(packets)
    while at and have + each[at - 1] <= samples:
        at -= 1
        have += each[at]
    return packets[at:]
