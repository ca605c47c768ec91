"""An entry of a conversation's buffer. What a chunk's bytes say is `chunk`'s."""

from collections.abc import Mapping
from dataclasses import dataclass

from audiobus.chunk import CHUNK_FIELD
from audiobus.entry_id import EntryId


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a buffer, as it lies there."""

    id: EntryId
    fields: Mapping[bytes, bytes]

    @property
    def chunk(self) -> bytes | None:
        """The bytes of a chunk (`audiobus.chunk.decode_chunk`); None for the entry that opens a session."""
        return self.fields.get(CHUNK_FIELD)
