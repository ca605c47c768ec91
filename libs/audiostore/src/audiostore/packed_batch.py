"""The batch of one run, its packets not parted: for who copies them.

Owns the same rules as `batch.read_batch`, as far as a file of one run with packets of one frame and one duration needs them: what nearly every
batch is. Any other, and any with a defect, is for `read_batch`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audiocodec.errors import CodecError
from audiocodec.ogg import MAX_FILE_BYTES, read_ogg_headers, read_ogg_packed
from audiocodec.packet import packet_durations
from audiocodec.silence import STEP_SAMPLES, silent_packets
from audiostore.errors import BatchFormatError
from audiostore.facts import BatchFacts, batch_facts
from audiostore.layout import MIN_PRE_SKIP_SAMPLES

if TYPE_CHECKING:
    from audiocodec.ogg import PackedPackets
    from audiocodec.span import Span

REMEMBERED_HEADERS = 2048
"""Header pages whose facts are kept in memory: those of a day of batches, some 4 MB, and 16 at the most."""
MAX_HEADERS_BYTES = 4096
"""Of what has larger ones they would take more than what they save; ours of one run take some hundred bytes."""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """A batch of one span."""

    span: Span
    """Without packets."""
    preroll: tuple[bytes, ...]
    """As in `batch.Batch`."""
    packets: PackedPackets
    """The span's."""


@functools.lru_cache(maxsize=REMEMBERED_HEADERS)
def facts_in_headers(pages: bytes) -> BatchFacts:
    """What the header pages of a batch say. Remembered: they are looked at each time it is read.

    BatchFormatError; CodecError: they are no header pages.
    """
    return batch_facts(read_ogg_headers(pages))


def read_packed_batch(data: bytes, most_packets: int = MAX_FILE_BYTES) -> PackedBatch | None:
    """The batch in this file, which holds exactly what `read_batch` would give; None where it has to be asked.

    `most_packets`: as with `read_ogg_packed`, which takes nearly all of the time.
    """
    ogg = read_ogg_packed(data, most_packets)
    if ogg is None or len(ogg.headers) > MAX_HEADERS_BYTES:
        return None
    try:
        facts = facts_in_headers(ogg.headers)
    except (CodecError, BatchFormatError):
        return None
    if len(facts.spans) != 1:
        return None
    (span,), ((before, own),) = facts.spans, facts.packets
    starts_silent = before == 0 and span.lead < MIN_PRE_SKIP_SAMPLES
    first = before + starts_silent
    packets = ogg.part(first, first + own)
    # A packet more is the silence after a run that plays nothing: rare, and not for here.
    if packets is None or len(packets) != own or first + own != len(ogg.sizes) or (before and span.starts):
        return None
    preroll = ogg.first(first)
    pre_skip = sum(packet_durations(preroll)) + span.lead
    if starts_silent:
        if list(preroll) != silent_packets(STEP_SAMPLES, facts.channels):
            return None
        preroll = ()
    samples = own * packets.samples
    told = (facts.pre_skip, ogg.end_granule, span.lead + span.samples + span.trim)
    held = (pre_skip, pre_skip - span.lead + samples - span.trim, samples)
    return PackedBatch(span, preroll, packets) if told == held and span.samples > 0 else None
