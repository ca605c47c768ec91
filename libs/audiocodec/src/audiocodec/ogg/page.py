"""Ogg pages (RFC 3533 §6): framing and lacing.

Owns the bytes of a page. Knows nothing of Opus, nor of what page follows what.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import accumulate, chain, count, islice, pairwise, repeat
from typing import TYPE_CHECKING

from audiocodec.errors import OggError
from audiocodec.ogg.checksum import CRC_AT, checksum, put_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    data: bytes | memoryview,
    packets: int,
    samples: int,
) -> list[bytes]:
    """Pages of so many `packets` each, which last `samples` together: packets of `sizes` bytes, each below 255, whose bytes are those that `data` begins with.

    The first is page `sequence`, after which the stream's packets end at `granule` and `samples`. Packets that do not fill a page are left out. They come
    behind `before`, a page or nothing, in pieces of whole pages, none of them empty.
    """
    # A minute has 60 pages, and little else is done with them: so each step is one call for all of them.
    lacings = [sizes[first : first + packets] for first in range(0, len(sizes) // packets * packets, packets)]
    ends = list(accumulate(map(sum, lacings), initial=0))
    page_bytes = [HEADER_BYTES + packets + end - start for start, end in pairwise(ends)]
    granules, numbers = count(granule + samples, samples), count(sequence)
    headers = map(
        HEADER.pack,
        repeat(b"OggS", len(lacings)),
        repeat(0),
        repeat(0),
        granules,
        repeat(serial),
        numbers,
        repeat(0),
        repeat(packets),
    )
    bodies = map(memoryview(data).__getitem__, map(slice, ends, ends[1:]))
    parts: Iterator[bytes | memoryview] = chain.from_iterable(zip(headers, lacings, bodies, strict=True))
    pieces: list[bytes] = []
    for several in _by_piece(len(before), page_bytes):
        piece = bytearray().join((before, *islice(parts, 3 * len(several))))
        starts = list(accumulate(several, initial=len(before)))
        put_in(piece, starts[:-1], several)
        pieces.append(bytes(piece))
        before = b""
    return pieces


def _by_piece(before: int, sizes: Sequence[int]) -> Iterator[list[int]]:
    """The sizes of the pages of each piece, where `before` bytes come before the first; none of a piece that is nothing else."""
    piece: list[int] = []
    piece_bytes = before
    for size in sizes:
        if piece_bytes + size > PIECE_BYTES:
            yield piece
            piece, piece_bytes = [], 0
        piece.append(size)
        piece_bytes += size
    if piece_bytes:
        yield piece


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
