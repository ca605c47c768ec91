"""What of an object's metadata a backend with a small limit keeps, and how it is read back. Values in, values out.

Owns two entries that are written beside the caller's: the CRC32C of the content (S3 and Azure keep none that can be asked for here), and a
mark where not everything fitted. With the mark nothing is handed out as the caller's metadata: a part looks like the whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audiostore.store import CONTENT_CRC32C, METADATA_LEFT_OUT, RESERVED_METADATA

if TYPE_CHECKING:
    from collections.abc import Mapping

_CRC32C = re.compile(r"[0-9a-f]{8}", re.ASCII)
_COUNT_DIGITS = 3  # room for the number of entries left out


@dataclass(frozen=True, slots=True)
class KeptMetadata:
    """`entries`: what goes to the backend. `metadata`: what a reader will be told that was put: everything, or None."""

    entries: dict[str, str]
    metadata: dict[str, str] | None


def keep(metadata: Mapping[str, str], crc32c: int, limit_bytes: int) -> KeptMetadata:
    """All of it and the checksum, if keys and values fit into `limit_bytes`; else the checksum, a mark, and the smaller entries."""
    entries = {CONTENT_CRC32C: f"{crc32c:08x}"}
    if _size(entries) + _size(metadata) <= limit_bytes:
        return KeptMetadata(entries | dict(metadata), dict(metadata))
    room = limit_bytes - _size(entries) - len(METADATA_LEFT_OUT) - _COUNT_DIGITS
    kept: dict[str, str] = {}
    for key, value in sorted(metadata.items(), key=lambda item: (len(item[0]) + len(item[1]), item[0])):
        room -= len(key) + len(value)
        if room < 0:
            break
        kept[key] = value
    entries[METADATA_LEFT_OUT] = str(len(metadata) - len(kept))
    return KeptMetadata(entries | kept, None)


def read_back(entries: Mapping[str, str]) -> tuple[int | None, dict[str, str] | None]:
    """CRC32C of the content (None: another program wrote the object) and metadata (None: not all of it was kept)."""
    text = entries.get(CONTENT_CRC32C, "")
    crc32c = int(text, 16) if _CRC32C.fullmatch(text) else None
    if METADATA_LEFT_OUT in entries:
        return crc32c, None
    return crc32c, {key: value for key, value in entries.items() if key not in RESERVED_METADATA}


def _size(entries: Mapping[str, str]) -> int:
    return sum(len(key) + len(value) for key, value in entries.items())
