"""A dead letter: an entry that can never be stored, with its audio and the reason, as it lies in `td:dead`.

Owns the format: a msgpack map with `reason`, `at_ms`, `fields` (the entry's), `first_offset` and `samples`. Others may add to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from audiobus.chunk import decode_chunk
from audiobus.conversation import Conversation
from audiobus.entry import Entry
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    entry: Entry
    """As it lay in the buffer."""
    reason: str
    at_ms: int
    """When it was buried, unix ms."""
    first_offset: int
    """Payload bytes of its session before it; 0 where an earlier version did not say."""
    samples: int
    """What was counted as dead for it, at 48 kHz."""
    content: Mapping[str, Any]
    """All that stands in it."""


def encode_letter(entry: Entry, *, reason: str, at_ms: int, first_offset: int, samples: int) -> bytes:
    """The value of its field in `td:dead`."""
    return msgspec.msgpack.encode(
        {
            "reason": reason,
            "at_ms": at_ms,
            "fields": dict(entry.fields),
            "first_offset": first_offset,
            "samples": samples,
        }
    )


def read_letter(entry_id: str | bytes, data: bytes) -> Letter:
    """The letter in the field `entry_id`.

    Raises:
        BadEntryError: it is none.
    """
    try:
        content = msgspec.msgpack.decode(data)
        entry = Entry(EntryId.parse(entry_id), _fields(content["fields"]))
        samples, first_offset = content.get("samples"), content.get("first_offset")
        return Letter(
            entry=entry,
            reason=str(content["reason"]),
            at_ms=int(content["at_ms"]),
            first_offset=first_offset if isinstance(first_offset, int) else 0,
            samples=samples if isinstance(samples, int) else entry.counted_samples,
            content=content,
        )
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise BadEntryError(f"dead letter {entry_id[:60]!r}: {error}") from error


@dataclass(frozen=True, slots=True)
class Legible:
    """What can be read of a letter's audio."""

    parses: bool
    """Whether this build can read it. Another try would then most likely succeed."""
    start_ms: int | None = None
    """Where its audio begins, unix ms."""


def legible(conversation: Conversation, letter: Letter) -> Legible:
    """Looks into the chunk that the letter carries."""
    entry = letter.entry
    if entry.chunk is None:
        return Legible(parses=False)
    try:
        chunk = decode_chunk(entry.chunk)
        span = chunk.span(conversation.cid, entry.id.epoch, entry.id.offset)
        return Legible(chunk.first_offset <= entry.id.offset, span.start_ms)
    except (BadEntryError, ValueError):
        return Legible(parses=False)


def _fields(pairs: Mapping[Any, Any]) -> dict[bytes, bytes]:
    if not all(isinstance(part, bytes) for pair in pairs.items() for part in pair):
        raise ValueError("its entry has no fields of bytes")
    return dict(pairs)
