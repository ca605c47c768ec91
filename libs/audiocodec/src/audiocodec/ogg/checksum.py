"""The checksum of Ogg pages (RFC 3533 §6, field 7): CRC-32, polynomial 04c11db7, most significant bit first, from 0, not inverted.

Owns the choice between two ways to the same number: FFmpeg's, in the copy of libavutil that the PyAV wheel carries (a page in half a microsecond),
and our own over zlib's, some ten times slower, where there is none. FFmpeg's is believed only after it agreed with ours. Owns also where a page has it.
Must not do anything at import time, and never imports PyAV.
"""

from __future__ import annotations

import ctypes
import functools
import struct
import zlib
from dataclasses import dataclass
from itertools import repeat
from operator import xor
from typing import TYPE_CHECKING, Final

from audiocodec import pyav_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

CRC_AT: Final = 22
"""Where a page has its checksum: four bytes, zero while it is counted."""
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CRC_32_IEEE: Final = 3
"""AV_CRC_32_IEEE of `enum AVCRCId` (libavutil/crc.h): this polynomial in this order of bits."""
_TRIALS: Final = (b"", b"OggS", bytes(26), b"\xff" * 63, bytes(range(256)) * 5)
_FOUR_BYTES: Final = struct.Struct(">I")
_MAGIC: Final = int.from_bytes(b"OggS", "big")


@dataclass(frozen=True, slots=True)
class Way:
    """One of the two."""

    of: Callable[[bytes], int]
    """The checksum of these bytes."""
    of_each: Callable[[bytearray, Sequence[int], Sequence[int]], Sequence[int]]
    """Those of stretches of a buffer, which begin where the first numbers say and have as many bytes as the second ones: as its four bytes in a page are,
    read big-endian."""


def checksum(data: bytes) -> int:
    """The checksum of these bytes."""
    return fastest().of(data)


def put_in(pages: bytearray, starts: Sequence[int], sizes: Sequence[int]) -> None:
    """Writes their checksums into the pages of a buffer that begin at `starts` and have so many bytes each; zero stands there."""
    _put(pages, [start + CRC_AT for start in starts], fastest().of_each(pages, starts, sizes))


def are_right(pages: bytes, starts: Sequence[int], checksums: Sequence[int]) -> bool:
    """Whether pages, which begin at `starts` with "OggS", the first with the first byte and each with the end of the one before, have these checksums.

    `checksums`: what stands in their headers.
    """
    # A checksum that runs on over the four bytes that it gave comes to zero, and begins anew with the next page. To run over four bytes and then over four others
    # is the same as to run, from zero, over what both differ in. So nothing need be put between two pages, and one call says whether all are right.
    chained = bytearray().join((pages, bytes(4)))
    _put(chained, [start + CRC_AT for start in starts], repeat(0))
    _put(chained, starts[1:], map(xor, checksums, repeat(_MAGIC)))
    _put(chained, (len(pages),), checksums[-1:])
    return not fastest().of_each(chained, (0,), (len(chained),))[0]


def _put(buffer: bytearray, places: Iterable[int], numbers: Iterable[int]) -> None:
    for _ in map(_FOUR_BYTES.pack_into, repeat(buffer), places, numbers):
        pass


@functools.cache
def fastest() -> Way:
    """What is used here: FFmpeg's where there is one that agrees with ours."""
    for path in pyav_wheel.libraries("avutil"):
        try:
            found = ffmpegs(str(path))
        except (OSError, AttributeError):
            continue
        if _agree(found, OURS):
            return found
    return OURS


def _agree(one: Way, other: Way) -> bool:
    buffer = bytearray().join(_TRIALS)
    stretches = (0, 4, 5), (len(buffer), 0, 80)
    each = list(one.of_each(buffer, *stretches)) == list(other.of_each(buffer, *stretches))
    return each and all(one.of(trial) == other.of(trial) for trial in _TRIALS)


def ffmpegs(path: str) -> Way:
    """`av_crc` of the libavutil at `path`. OSError, AttributeError: it is none.

    It keeps the interpreter's lock: a page takes less time than getting that back, where other threads want it too.
    """
    library = ctypes.PyDLL(path)
    table_of, crc = library.av_crc_get_table, library.av_crc
    table_of.restype, table_of.argtypes = ctypes.c_void_p, (ctypes.c_int,)
    crc.restype = ctypes.c_uint32
    crc.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t)
    table = table_of(_CRC_32_IEEE)
    if not table:
        raise AttributeError(f"{path} has no table for CRC-32")
    place = ctypes.c_void_p(table)

    # Its register lies in memory in the order of the bytes on the wire, which is that of a page's field read as little-endian, mirrored.
    def of(data: bytes) -> int:
        return _mirrored(crc(place, 0, data, len(data)))

    def of_each(buffer: bytearray, starts: Sequence[int], sizes: Sequence[int]) -> list[int]:
        held = ctypes.c_char.from_buffer(buffer)  # as long as this is there the buffer stays where it is
        begins = ctypes.addressof(held)
        return list(map(crc, repeat(place), repeat(0), [begins + start for start in starts], sizes))

    return Way(of, of_each)


def by_zlib(data: bytes | bytearray) -> int:
    """The same without FFmpeg.

    zlib's is the same polynomial with all bits in the other order: so the bytes are mirrored before it, and its result after.
    """
    mirrored = zlib.crc32(data.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")


def _each_by_zlib(buffer: bytearray, starts: Sequence[int], sizes: Sequence[int]) -> list[int]:
    return [
        _mirrored(by_zlib(buffer[start : start + size])) for start, size in zip(starts, sizes, strict=True)
    ]


def _mirrored(number: int) -> int:
    """Its four bytes the other way round."""
    return int.from_bytes(number.to_bytes(4, "little"), "big")


OURS: Final = Way(by_zlib, _each_by_zlib)
