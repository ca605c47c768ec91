"""One entry of a buffer, decoded and checked: what the cutter and the builder work on. Pure.

Owns what makes an entry unstorable. What it refuses goes to the dead letters, so it refuses nothing that a file could hold.
"""

from dataclasses import dataclass

from audiobus.chunk import OPEN_FIELD, TRACE_FIELD, Chunk, decode_chunk
from audiobus.entry import Entry
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError
from audiocodec.span import Span
from audiostore.names import MAX_TIME_MS
from servicekit.traceparent import LENGTH as TRACEPARENT_BYTES


@dataclass(frozen=True, slots=True)
class Arrived:
    """An entry as it was appended."""

    id: EntryId
    chunk: Chunk | None
    """None for the entry that opens a session."""
    span: Span | None
    """The chunk on the timeline; None with it."""
    counted_samples: int | None = None
    """What was counted when it was appended, where that is known: what `finish` must count."""
    size_bytes: int = 0
    """Of the entry as it was read: about what it takes in an object, and in memory."""
    trace: str = ""
    """The `traceparent` of its session, if there is one."""

    @property
    def audio(self) -> Span | None:
        """The span, if it has packets: what enters an object."""
        return self.span if self.span is not None and self.span.packets else None

    @property
    def samples(self) -> int:
        """Samples at 48 kHz, as the books have them."""
        if self.counted_samples is not None:
            return self.counted_samples
        return self.chunk.samples if self.chunk else 0


def read_entry(conversation_id: str, entry: Entry) -> Arrived:
    """The entry, decoded.

    Raises:
        BadEntryError: it can never be stored: damaged, of an unknown version, or at a time that no object's name can have.
    """
    if entry.chunk is None:
        if OPEN_FIELD not in entry.fields:
            raise BadEntryError(f"entry {entry.id}: neither a chunk nor the opening of a session")
        return Arrived(entry.id, None, None, size_bytes=entry.size_bytes)
    chunk = decode_chunk(entry.chunk)
    if chunk.first_offset > entry.id.offset:
        raise BadEntryError(f"chunk entry: begins at byte {chunk.first_offset} and ends at {entry.id.offset}")
    span = chunk.span(conversation_id, entry.id.epoch, entry.id.offset)
    if span.end_ms > MAX_TIME_MS:
        raise BadEntryError(f"chunk entry: ends at {span.end_ms} ms, above {MAX_TIME_MS}")
    trace = entry.fields.get(TRACE_FIELD, b"")[:TRACEPARENT_BYTES].decode(errors="replace")
    return Arrived(entry.id, chunk, span, entry.counted_samples, entry.size_bytes, trace)
