"""The batch: up to a minute of one conversation as one ordinary Ogg Opus file, written and read.

Owns the file as a whole (objects.md; RFC 3533, RFC 7845): the same batch gives the same bytes, and reading is the exact inverse of
writing. Where packets lie stands in `layout`, what the tags say in `facts`; it touches no store, no clock and no Redis.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from audiocodec.errors import CodecError
from audiocodec.ogg import OggOpusWriter, Paged, paged, read_ogg_headers, read_ogg_opus
from audiostore import facts as facts_of
from audiostore.errors import BatchFormatError
from audiostore.facts import HEAD_BYTES, BatchFacts, batch_facts
from audiostore.layout import MAX_BATCH_MS, MAX_RUNS, MIN_PRE_SKIP_SAMPLES, Layout, durations, fill, lay_out

if TYPE_CHECKING:
    from audiocodec.span import Span

__all__ = [
    "HEAD_BYTES",
    "MAX_BATCH_MS",
    "MAX_RUNS",
    "Batch",
    "BatchFacts",
    "BatchFile",
    "batch_end_ms",
    "batch_facts",
    "batch_file",
    "batch_start_ms",
    "fill",
    "read_batch",
    "write_batch",
]

Packets: TypeAlias = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one object holds: one codec, rate and channel count."""

    conversation_id: str
    """The conversation that all of it was recorded into."""
    source: str
    """Codec of what the device sent."""
    sample_rate: int
    """Hz, of the recording."""
    channels: int
    """1 or 2."""
    preroll: tuple[bytes, ...]
    """Packets before those of the first span, which an earlier batch holds; empty where the encoder began with it."""
    spans: tuple[Span, ...]
    """In order of time, joined (`audiocodec.span.join`); between any two `fill` is not None."""


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A batch as it is stored."""

    data: bytes
    """The plain file."""
    metadata: dict[str, str]
    """Of the object that holds it, also where it is sealed."""


def batch_start_ms(batch: Batch) -> int:
    """First played sample, unix ms, rounded down: what the name begins with."""
    return batch.spans[0].start_ms


def batch_end_ms(batch: Batch) -> int:
    """The moment after the last played sample, unix ms, rounded down."""
    return batch.spans[-1].end_ms


def write_batch(batch: Batch) -> bytes:
    """The bytes of `batch_file`."""
    return batch_file(batch).data


def batch_file(batch: Batch) -> BatchFile:
    """The file and its metadata. The same batch always gives the same bytes. Raises BatchFormatError where the batch breaks a rule of the format."""
    layout = lay_out(batch.preroll, batch.spans, batch.channels)
    facts = _facts(batch, layout)
    try:
        head, tags = facts_of.head_and_tags(facts)
        writer = OggOpusWriter(head, tags, _serial(facts))
        pages = [writer.start()]
        pages.append(writer.packets(layout.packets, layout.samples))
        pages.append(writer.finish(layout.trim))
    except CodecError as error:
        raise BatchFormatError(f"batch from {facts.start_ms} ms: {error}") from error
    data = b"".join(pages)
    told = replace(facts, pages=tuple(map(_paged, batch.spans)))
    return BatchFile(data, facts_of.metadata(told, data))


def metadata_of(data: bytes) -> dict[str, str]:
    """The metadata that belong to a file: those that `batch_file` gave with it.

    Raises:
        BatchFormatError: it is no batch.
        CodecError: it is no Ogg Opus.
    """
    batch = read_batch(data)
    told = replace(batch_facts(read_ogg_headers(data)), pages=tuple(map(_paged, batch.spans)))
    return facts_of.metadata(told, data)


def read_batch(data: bytes) -> Batch:
    """The batch in this file, exactly as it was written.

    Raises BatchFormatError, naming the structure and the defect: a broken file, another version, or tags that do not say what lies there.
    """
    try:
        ogg = read_ogg_opus(data)
    except CodecError as error:
        raise BatchFormatError(f"batch file: {error}") from error
    facts = batch_facts((ogg.head, ogg.tags))
    preroll, silences, spans = _parted(ogg.packets, facts)
    layout = lay_out(preroll, spans, facts.channels)
    batch = Batch(facts.conversation_id, facts.source, facts.sample_rate, facts.channels, preroll, spans)
    if silences != layout.silences or ogg.packets != layout.packets:
        raise BatchFormatError(
            "batch file: around the runs lies something else than the silence of their gaps"
        )
    end = sum(layout.samples) - layout.trim
    if (ogg.head.pre_skip, ogg.end_granule) != (layout.pre_skip, end):
        raise BatchFormatError(
            f"batch file: pre-skip {ogg.head.pre_skip} and end {ogg.end_granule}, where the tags want {layout.pre_skip} and {end}"
        )
    return batch


def _facts(batch: Batch, layout: Layout) -> BatchFacts:
    if any(span.conversation != batch.conversation_id for span in batch.spans):
        raise BatchFormatError(
            f"batch: a run was recorded into another conversation than {batch.conversation_id}"
        )
    before = (batch.preroll, *layout.silences[1:])
    facts = BatchFacts(
        conversation_id=batch.conversation_id,
        source=batch.source,
        sample_rate=batch.sample_rate,
        channels=batch.channels,
        pre_skip=layout.pre_skip,
        spans=tuple(replace(span, packets=()) for span in batch.spans),
        packets=tuple(
            (len(packets), len(span.packets)) for packets, span in zip(before, batch.spans, strict=True)
        ),
        sha256=None,
    )
    try:
        readable = batch_facts(facts_of.head_and_tags(facts)) == facts
    except CodecError as error:
        raise BatchFormatError(f"batch: {error}") from error
    if not readable:
        raise BatchFormatError("batch: its tags would not say what it holds")
    return facts


def _paged(span: Span) -> Paged:
    return paged(
        (len(packet), samples) for packet, samples in zip(span.packets, durations(span.packets), strict=True)
    )


def _parted(packets: list[bytes], facts: BatchFacts) -> tuple[Packets, tuple[Packets, ...], tuple[Span, ...]]:
    """Pre-roll, silence before each span, and the spans with their packets, as the tags count them."""
    # Any packet of pre-roll is longer than the least pre-skip: only without one is there a lead-in.
    at = int(facts.packets[0][0] == 0 and facts.spans[0].lead < MIN_PRE_SKIP_SAMPLES)
    before, spans = [], []
    for span, (others, own) in zip(facts.spans, facts.packets, strict=True):
        before.append(tuple(packets[at : at + others]))
        at += others
        spans.append(replace(span, packets=tuple(packets[at : at + own])))
        at += own
    return before[0], ((), *before[1:]), tuple(spans)


def _serial(facts: BatchFacts) -> int:
    """Serial number of the Ogg stream (RFC 3533 §4): follows from what the file holds, so a retry makes the same file."""
    first = facts.spans[0]
    text = f"{facts.conversation_id}/{first.epoch}:{first.first_offset}@{facts.start_ms}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
