"""From the entries of a cut to the batch, and to what the next batch begins with. Pure and deterministic.

The same entries, pre-roll and exclusions always give the same batch: whoever picks a cut up after a crash makes the very same object.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from audiobus.cut import Stored
from audiobus.state import PreRoll
from audiocodec.errors import CodecError
from audiocodec.span import Span, join, preroll_after
from audiostore.batch import Batch, BatchFile, batch_file
from audiostore.errors import BatchFormatError
from audiostore.names import CONTENT_TYPE
from pusher.arrived import Arrived
from pusher.errors import BuildError
from pusher.stored_ranges import covers


@dataclass(frozen=True, slots=True)
class Built:
    """What a cut comes to."""

    batch: Batch | None
    """None where nothing is to be put: only session openings, empty chunks, or what is stored already."""
    data: bytes
    """The object: the file, or, made by `maker`, the sealed file; empty without a batch."""
    content_type: str
    """Of the object."""
    metadata: dict[str, str]
    """Of the object; empty without a batch. Of a sealed one it says the same as of a plain one."""
    preroll: PreRoll | None
    """What the next batch may go on from."""
    samples: int
    """Audio that the cut settles at 48 kHz, with what was stored already: it was received again, too."""
    ends: dict[int, int]
    """For each session in the cut the end offset reached."""


def build(
    conversation_id: str, arrived: Sequence[Arrived], preroll: PreRoll | None, exclude: Sequence[Stored] = ()
) -> Built:
    """The batch of these entries, after `preroll`.

    Raises:
        BuildError: no file can be made of them.
    """
    try:
        batch, after = _assemble(conversation_id, arrived, preroll, exclude)
        file = batch_file(batch) if batch else BatchFile(b"", {})
    except (BatchFormatError, CodecError) as error:
        raise BuildError(f"entries {arrived[0].id} to {arrived[-1].id}: {error}") from error
    ends: dict[int, int] = {}
    for one in arrived:
        ends[one.id.epoch] = max(one.id.offset, ends.get(one.id.epoch, 0))
    return Built(
        batch, file.data, CONTENT_TYPE, file.metadata, after, sum(one.samples for one in arrived), ends
    )


def _assemble(
    conversation_id: str, arrived: Sequence[Arrived], preroll: PreRoll | None, exclude: Sequence[Stored]
) -> tuple[Batch | None, PreRoll | None]:
    entering: list[Span] = []
    first: Arrived | None = None
    before: tuple[bytes, ...] = ()
    tail = preroll
    for one in arrived:
        span = one.span
        if span is None:
            continue
        goes_on = tail is not None and span.continues(_end_of(conversation_id, tail))
        if not span.packets:
            # A few bytes that held no packet: the run, if it has begun, goes on after them.
            if goes_on and tail is not None:
                tail = _after(span, tail.packets)
                entering.append(span)
            continue
        packets = tail.packets if goes_on and tail is not None else ()
        if not covers(exclude, span):
            if first is None:
                first, before = one, packets
            entering.append(span)
        tail = _after(span, packets)
    if first is None or first.chunk is None:
        return None, tail
    spans = tuple(span for span in join(entering) if span.packets)
    batch = Batch(
        conversation_id=conversation_id,
        source=first.chunk.source,
        sample_rate=first.chunk.sample_rate,
        channels=first.chunk.channels,
        preroll=before,
        spans=spans,
    )
    return batch, tail


def _end_of(conversation_id: str, tail: PreRoll) -> Span:
    """The moment after the tail as a span without packets, for `Span.continues`."""
    return Span(
        conversation=conversation_id,
        epoch=tail.epoch,
        first_offset=tail.next_offset,
        end_offset=tail.next_offset,
        run_start_ms=tail.run_start_ms,
        first_sample=tail.next_sample,
        samples=0,
        lead=0,
        trim=0,
        starts=False,
        packets=(),
    )


def _after(span: Span, packets: Sequence[bytes]) -> PreRoll | None:
    """What a batch may begin with that goes on after `span`; None where nothing can, because the encoder was flushed."""
    kept = preroll_after(packets, span)
    if not kept:
        return None
    return PreRoll(
        epoch=span.epoch,
        run_start_ms=span.run_start_ms,
        next_sample=span.first_sample + span.samples,
        next_offset=span.end_offset,
        packets=kept,
    )
