"""From the entries of a cut to the batch, and to what the next batch begins with. Pure and deterministic.

The same entries, pre-roll and exclusions always give the same batch: whoever picks a cut up after a crash makes the very same object.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from audiobus.cut import Stored
from audiobus.state import PreRoll
from audiocodec.errors import CodecError
from audiocodec.span import Span, join
from audiostore.batch import Batch, BatchFile, batch_file
from audiostore.errors import BatchFormatError
from audiostore.names import CONTENT_TYPE
from pusher.arrived import Arrived
from pusher.errors import BuildError
from pusher.lineage import goes_on, heard
from pusher.seam import (
    CONTEXT_SAMPLES,
    LONGEST_SAMPLES,
    preroll_for,
    worth_keeping,
)
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
    """Of the object; empty without a batch. Of a sealed one it says the same as of a plain one, and which key opens it."""
    preroll: PreRoll | None
    """What the next batch may go on from."""
    samples: int
    """Audio that the cut settles at 48 kHz, with what was stored already: it was received again, too."""
    ends: dict[int, int]
    """For each session in the cut the end offset reached."""
    traces: frozenset[str] = frozenset()
    """The `traceparent` of these sessions, as far as their chunks name one."""


def build(
    conversation_id: str,
    arrived: Sequence[Arrived],
    preroll: PreRoll | None,
    exclude: Sequence[Stored] = (),
    *,
    context_samples: int = LONGEST_SAMPLES,
) -> Built:
    """The batch of these entries, after `preroll`, and at least `context_samples` for the next one to choose its pre-roll from.

    Raises:
        BuildError: no file can be made of them.
    """
    try:
        batch = _assemble(conversation_id, arrived, preroll, exclude)
        after = _kept(heard(arrived, preroll, context_samples))
        file = batch_file(batch) if batch else BatchFile(b"", {})
    except (BatchFormatError, CodecError) as error:
        raise BuildError(f"entries {arrived[0].id} to {arrived[-1].id}: {error}") from error
    ends: dict[int, int] = {}
    for one in arrived:
        ends[one.id.epoch] = max(one.id.offset, ends.get(one.id.epoch, 0))
    samples = sum(one.samples for one in arrived)
    traces = frozenset(one.trace for one in arrived if one.trace)
    return Built(batch, file.data, CONTENT_TYPE, file.metadata, after, samples, ends, traces)


def _kept(after: PreRoll | None) -> PreRoll | None:
    """No more of it than the next batch may need."""
    return msgspec.structs.replace(after, packets=worth_keeping(after.packets)) if after else None


def _before(span: Span, kept: PreRoll | None) -> tuple[bytes, ...]:
    """The packets before `span` that a decoder of it should have heard, if any."""
    return kept.packets if kept is not None and goes_on(span, kept) else ()


def _assemble(
    conversation_id: str, arrived: Sequence[Arrived], preroll: PreRoll | None, exclude: Sequence[Stored]
) -> Batch | None:
    entering: list[Span] = []
    first: Arrived | None = None
    before: tuple[bytes, ...] = ()
    for index, one in enumerate(arrived):
        span = one.span
        if span is None or (span.packets and covers(exclude, span)):
            continue
        # One without packets, a few bytes that held none, belongs to the run that goes on over it.
        entering.append(span)
        if span.packets and first is None:
            first, before = one, _before(span, heard(arrived[:index], preroll, CONTEXT_SAMPLES))
    if first is None or first.chunk is None:
        return None
    spans = tuple(span for span in join(entering) if span.packets)
    channels = first.chunk.channels
    return Batch(
        conversation_id=conversation_id,
        source=first.chunk.source,
        sample_rate=first.chunk.sample_rate,
        channels=channels,
        preroll=preroll_for(before, spans[0].packets, channels, spans[0].lead),
        spans=spans,
    )
