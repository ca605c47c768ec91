"""Ogg pages (RFC 3533 §6): framing and lacing.

Owns the bytes of a page. Knows nothing of Opus, nor of what page follows what.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audiocodec.errors import OggError
from audiocodec.ogg.checksum import checksum, fastest

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SEGMENTS = 255
"""Segments in a page, each of up to 255 bytes: a page is never longer than 65,307 bytes."""
NO_GRANULE = -1
"""Granule position of a page on which no packet ends."""

CONTINUED = 1
FIRST = 2
LAST = 4

HEADER = struct.Struct("<4sBBqIIIB")
"""Of a page, before its lacing: magic, version, flags, granule position, serial, number, checksum, segments."""
HEADER_BYTES = HEADER.size
"""Of a page, before its lacing."""
CRC_AT = 22
"""Where the checksum lies in it: four bytes, zero while it is counted."""
PIECE_BYTES = 64 * 1024
"""Many pages are joined to pieces of up to so many bytes: what is sent at once need not be cut out of a longer block, which is one copy more."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page, its checksum already checked."""

    flags: int
    granule: int
    serial: int
    sequence: int
    lacing: bytes
    """One byte a segment; a segment shorter than 255 bytes ends a packet."""
    body: bytes
    end: int
    """Where in the file the next page begins."""


def write_page(flags: int, granule: int, serial: int, sequence: int, packets: Sequence[bytes]) -> bytes:
    """A page of whole packets. OggError where they take more than MAX_SEGMENTS."""
    sizes = [len(packet) for packet in packets]
    if max(sizes, default=0) < 255:
        lacing = bytes(sizes)
    else:
        lacing = b"".join([b"\xff" * (size // 255) + bytes((size % 255,)) for size in sizes])
    if len(lacing) > MAX_SEGMENTS:
        raise OggError(f"page {sequence}: {len(lacing)} segments, {MAX_SEGMENTS} are possible")
    return laced_page(flags, granule, serial, sequence, lacing, b"".join(packets))


def laced_page(flags: int, granule: int, serial: int, sequence: int, lacing: bytes, body: bytes) -> bytes:
    """A page of segments as `lacing` says, at most MAX_SEGMENTS of them."""
    header = HEADER.pack(b"OggS", 0, flags, granule, serial, sequence, 0, len(lacing))
    crc = checksum(b"".join((header, lacing, body))).to_bytes(4, "little")
    return b"".join((header[:CRC_AT], crc, header[CRC_AT + 4 :], lacing, body))


def equal_pages(
    before: bytes,
    granule: int,
    serial: int,
    sequence: int,
    sizes: bytes,
    data: bytes,
    count: int,
    samples: int,
) -> list[bytes]:
    """Pages of `count` packets each, which last `samples` together: packets of `sizes` bytes, each below 255, whose bytes are those that `data` begins with.

    The first is page `sequence`, after which the stream's packets end at `granule` and `samples`. Packets that do not fill a page are left out. They come
    behind `before`, a page or nothing, in pieces of whole pages, none of them empty.
    """
    crc_of, pack = fastest(), HEADER.pack
    pieces: list[bytes] = []
    pages = [before]
    at, size = 0, len(before)
    for number, first in enumerate(range(0, len(sizes) // count * count, count), sequence):
        lacing = sizes[first : first + count]
        end = at + sum(lacing)
        granule += samples
        header = pack(b"OggS", 0, 0, granule, serial, number, 0, count)
        body = data[at:end]
        crc = crc_of(b"".join((header, lacing, body)))
        page_bytes = HEADER_BYTES + count + end - at
        if size + page_bytes > PIECE_BYTES:
            pieces.append(b"".join(pages))
            pages.clear()
            size = 0
        pages += (header[:CRC_AT], crc.to_bytes(4, "little"), header[CRC_AT + 4 :], lacing, body)
        size += page_bytes
        at = end
    return [*pieces, b"".join(pages)] if size else pieces


def read_page(data: bytes, at: int) -> Page:
    """The page that begins at byte `at`. OggError: none begins there, it is cut short, or its checksum is wrong."""
    if len(data) - at < HEADER.size:
        raise OggError(f"page at byte {at}: header cut short")
    magic, version, flags, granule, serial, sequence, crc, segments = HEADER.unpack_from(data, at)
    if magic != b"OggS":
        raise OggError(f"page at byte {at}: no OggS there")
    if version != 0:
        raise OggError(f"page at byte {at}: version {version}, only 0 is known")
    if flags & ~(CONTINUED | FIRST | LAST):
        raise OggError(f"page at byte {at}: unknown flags {flags:#04x}")
    body_at = at + HEADER.size + segments
    lacing = data[at + HEADER.size : body_at]
    end = body_at + sum(lacing)
    if len(lacing) < segments or end > len(data):
        raise OggError(f"page at byte {at}: cut short")
    zeroed = b"".join((data[at : at + CRC_AT], b"\0\0\0\0", data[at + CRC_AT + 4 : end]))
    if checksum(zeroed) != crc:
        raise OggError(f"page at byte {at}: wrong checksum")
    return Page(flags, granule, serial, sequence, lacing, data[body_at:end], end)
