"""An entry of a conversation's buffer, and how much audio the books count for it. What a chunk's bytes say is `chunk`'s."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from audiobus.chunk import CHUNK_FIELD, SAMPLES_FIELD, Chunk
from audiobus.entry_id import EntryId

_CLAIMED: Final = Chunk.__struct_fields__.index("samples")
"""Where `samples` stands in the array of a chunk."""
_MOST_CLAIMED_SAMPLES: Final = 3600 * 48_000
_MOST_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a buffer, as it lies there."""

    id: EntryId
    fields: Mapping[bytes, bytes]

    @property
    def chunk(self) -> bytes | None:
        """The bytes of a chunk (`audiobus.chunk.decode_chunk`); None for the entry that opens a session."""
        return self.fields.get(CHUNK_FIELD)

    @property
    def size_bytes(self) -> int:
        """Bytes of its values."""
        return sum(map(len, self.fields.values()))

    @property
    def counted_samples(self) -> int:
        """How much audio `append` counted as received for it, at 48 kHz, whatever became of its bytes since.

        It must be counted alike where it leaves the buffer, or the sum of stored, waiting, dead and deleted no longer is what was
        received. An entry of an earlier version, which says nothing beside its chunk, counts as what its chunk claims, damaged or not.
        """
        counted = self.fields.get(SAMPLES_FIELD)
        if counted is not None and counted.isdigit() and len(counted) <= _MOST_DIGITS:
            return int(counted)
        return _claimed_samples(self.chunk)


def entries_of(rows: Any) -> list[Entry]:
    """The entries that `XRANGE` answered."""
    return [Entry(EntryId.parse(row[0]), _fields(row[1])) for row in rows]


def _fields(row: Any) -> dict[bytes, bytes]:
    return row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))


def _claimed_samples(chunk: bytes | None) -> int:
    """What a chunk, damaged perhaps, says it holds; 0 where that cannot be known."""
    try:
        fields = msgspec.msgpack.decode(chunk or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    if not isinstance(fields, list) or len(fields) <= _CLAIMED:
        return 0
    claimed = fields[_CLAIMED]
    return claimed if isinstance(claimed, int) and 0 <= claimed <= _MOST_CLAIMED_SAMPLES else 0
