"""The checksum of Ogg pages (RFC 3533 §6, field 7): CRC-32, polynomial 04c11db7, most significant bit first, from 0, not inverted.

Owns the choice between two ways to the same number: FFmpeg's, in the copy of libavutil that the PyAV wheel carries (a page in half a microsecond),
and our own over zlib's, some ten times slower, where there is none. FFmpeg's is believed only after it agreed with ours. Must not do anything at
import time, and never imports PyAV.
"""

from __future__ import annotations

import ctypes
import functools
import zlib
from typing import TYPE_CHECKING, Final

from audiocodec import pyav_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CRC_32_IEEE: Final = 3
"""AV_CRC_32_IEEE of `enum AVCRCId` (libavutil/crc.h): this polynomial in this order of bits."""
_TRIALS: Final = (b"", b"OggS", bytes(26), b"\xff" * 63, bytes(range(256)) * 5)


def checksum(data: bytes) -> int:
    """The checksum of these bytes."""
    return fastest()(data)


@functools.cache
def fastest() -> Callable[[bytes], int]:
    """What `checksum` calls: FFmpeg's where there is one that agrees with ours."""
    for path in pyav_wheel.libraries("avutil"):
        try:
            found = ffmpegs(str(path))
        except (OSError, AttributeError):
            continue
        if all(found(trial) == by_zlib(trial) for trial in _TRIALS):
            return found
    return by_zlib


def ffmpegs(path: str) -> Callable[[bytes], int]:
    """`av_crc` of the libavutil at `path`. OSError, AttributeError: it is none.

    It keeps the interpreter's lock: a page takes less time than getting that back, where other threads want it too.
    """
    library = ctypes.PyDLL(path)
    table_of, crc = library.av_crc_get_table, library.av_crc
    table_of.restype, table_of.argtypes = ctypes.c_void_p, (ctypes.c_int,)
    crc.restype = ctypes.c_uint32
    crc.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t)
    table = table_of(_CRC_32_IEEE)
    if not table:
        raise AttributeError(f"{path} has no table for CRC-32")
    place = ctypes.c_void_p(table)

    def checksum_by_ffmpeg(data: bytes) -> int:
        # Its register lies in memory in the order of the bytes on the wire, which is that of a page's field read as little-endian, mirrored.
        return int.from_bytes(crc(place, 0, data, len(data)).to_bytes(4, "little"), "big")

    return checksum_by_ffmpeg


def by_zlib(data: bytes) -> int:
    """The same without FFmpeg.

    zlib's is the same polynomial with all bits in the other order: so the bytes are mirrored before it, and its result after.
    """
    mirrored = zlib.crc32(data.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")
