"""Where each packet of a batch lies in its file: pre-skip, silence between runs, the end. Arithmetic only.

Owns the rules of RFC 7845 §4 as a batch uses them. File time 0 (after pre-skip) is the first played sample of the first span, and stays
clock time to 1.25 ms: silence comes in packets of 2.5 ms at the least, and each gap makes good what the ones before rounded away.
All sample counts are per channel at 48 kHz. Knows nothing of tags, bytes of Ogg, or names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audiocodec.errors import BadPacketError
from audiocodec.packet import packet_durations
from audiocodec.silence import STEP_SAMPLES, silent_packets
from audiostore.errors import BatchFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audiocodec.span import Span

MAX_RUNS = 24
"""Spans in one batch."""
MAX_BATCH_MS = 60_000
"""From the first sample to the last, gaps included: what whoever cuts batches keeps to."""
MAX_FILE_SAMPLES = 2 * MAX_BATCH_MS * 48
"""What writing and reading refuse. Twice the cutter's limit: acked audio must never be unwritable for a packet too much."""
MIN_PRE_SKIP_SAMPLES = 120
"""A pre-skip below 2.5 ms trips players; a silent packet is put first where a file would have less."""
MAX_PRE_SKIP_SAMPLES = 0xFFFF
"""What the field of OpusHead holds (RFC 7845 §5.1): 1.2 s of pre-roll, a packet more, and an encoder's lead-in fit."""
MIN_PLAYED_SAMPLES = 48
"""1 ms: players call a file that plays nothing broken, and file time stays clock time to 1.25 ms."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands between and around the packets of the spans."""

    pre_skip: int
    """Samples: lead-in packet, pre-roll and the lead of the first span."""
    packets: list[bytes]
    """All packets of the file in its order. One silent packet stands before everything else where pre-roll and lead are
    shorter than a pre-skip may be, and one after everything else where there would be nothing to play otherwise."""
    samples: list[int]
    """What each of `packets` lasts."""
    silences: tuple[tuple[bytes, ...], ...]
    """Silent packets before each span; the first entry is always empty."""
    trim: int
    """Samples of padding that the last granule position leaves out."""


def fill(previous: Span, span: Span) -> int | None:
    """Samples of silence between two spans in one file.

    None where they cannot share one: they overlap, the gap cannot hold the padding of the one and the lead-in of the
    other (Ogg skips only at the start of a file), or it is longer than a batch.
    """
    samples = (span.start_48k - span.lead) - (previous.end_48k + previous.trim)
    return samples if 0 <= samples <= MAX_BATCH_MS * 48 else None


def lay_out(preroll: Sequence[bytes], spans: Sequence[Span], channels: int) -> Layout:
    """The layout of a file of these spans, in order, after this pre-roll. Raises BatchFormatError where they cannot be one file."""
    _check(preroll, spans)
    first = spans[0]
    before = durations(preroll)
    packets, samples = [*preroll], before
    if sum(before) + first.lead < MIN_PRE_SKIP_SAMPLES:
        packets, samples = [*silent_packets(STEP_SAMPLES, channels), *preroll], [STEP_SAMPLES, *before]
    position = sum(samples)  # in the file, of the end of the packets so far
    pre_skip = position + first.lead
    if pre_skip > MAX_PRE_SKIP_SAMPLES:
        raise BatchFormatError(
            f"batch: pre-roll and lead of {pre_skip} samples; {MAX_PRE_SKIP_SAMPLES} are the most"
        )
    clock = first.start_48k - pre_skip  # of the file's very first sample
    silences = []
    for number, span in enumerate(spans):
        silence: tuple[bytes, ...] = ()
        if number:
            _check_neighbours(number, spans[number - 1], span)
            # Rounding may have put the file up to 1.25 ms ahead of the clock.
            silence = tuple(silent_packets(max(0, span.start_48k - span.lead - clock - position), channels))
        silences.append(silence)
        packets += [*silence, *span.packets]
        added = [*durations(silence), *_durations(number, span)]
        samples += added
        position += sum(added)
    tail, trim = _end(position - pre_skip, spans[-1].trim, channels)
    return Layout(pre_skip, [*packets, *tail], [*samples, *durations(tail)], tuple(silences), trim)


def _end(heard: int, trim: int, channels: int) -> tuple[tuple[bytes, ...], int]:
    """Tail and trim after `heard` samples, of which the last `trim` are padding: what is left is never nothing."""
    if heard > trim:
        return (), trim
    if trim >= MIN_PLAYED_SAMPLES:
        return (), trim - MIN_PLAYED_SAMPLES
    return tuple(silent_packets(STEP_SAMPLES, channels)), trim + STEP_SAMPLES - MIN_PLAYED_SAMPLES


def durations(packets: Iterable[bytes]) -> list[int]:
    """Samples that each of the packets lasts. Raises BatchFormatError where one is no Opus packet."""
    try:
        return packet_durations(packets)
    except BadPacketError as error:
        raise BatchFormatError(f"batch: holds what is no Opus packet: {error}") from error


def _check(preroll: Sequence[bytes], spans: Sequence[Span]) -> None:
    """The limits, before anything is made."""
    if not 0 < len(spans) <= MAX_RUNS:
        raise BatchFormatError(f"batch: {len(spans)} runs; 1 to {MAX_RUNS} are possible")
    if not any(span.packets for span in spans):
        raise BatchFormatError("batch: no packets at all; nothing is to be stored")
    if spans[-1].end_48k - spans[0].start_48k > MAX_FILE_SAMPLES:
        raise BatchFormatError(
            f"batch: longer than {MAX_FILE_SAMPLES // 48} ms from {spans[0].start_ms} to {spans[-1].end_ms}"
        )
    if preroll and spans[0].starts:
        raise BatchFormatError("batch: pre-roll before a packet with which the encoder began")


def _check_neighbours(number: int, previous: Span, span: Span) -> None:
    if fill(previous, span) is None:
        raise BatchFormatError(
            f"batch: run {number} (from {span.start_ms} ms, lead {span.lead} samples) cannot share a file with the one before "
            f"(to {previous.end_ms} ms, trim {previous.trim} samples)"
        )


def _durations(number: int, span: Span) -> list[int]:
    each = durations(span.packets)
    samples = sum(each)
    if min(span.samples, span.lead, span.trim) < 0 or samples != span.samples + span.lead + span.trim:
        raise BatchFormatError(
            f"batch: run {number} has packets of {samples} samples, but says {span.samples} played, {span.lead} lead, "
            f"{span.trim} trim"
        )
    return each
