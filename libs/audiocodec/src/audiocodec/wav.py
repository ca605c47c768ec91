"""The header of a WAV file of 16-bit PCM; the samples follow it as they are.

Owns RIFF/WAVE and, from 4 GiB on, RF64 (EBU Tech 3306). Reads nothing.
"""

from __future__ import annotations

import struct

from audiocodec.errors import BadPcmError

_RIFF_LIMIT = 0xFFFF_FFFF  # the size that RF64 reserves to say "see ds64"


def wav_header(sample_rate: int, channels: int, data_bytes: int) -> bytes:
    """The header before `data_bytes` of s16le: 44 bytes, or 80 where the file's size needs RF64.

    BadPcmError: no whole number of samples, a rate that is not 1 to 2**31 Hz, channels not 1 to 255.
    """
    if not (0 < sample_rate < 1 << 31 and 0 < channels < 256):
        raise BadPcmError(f"WAV of {sample_rate} Hz and {channels} channels")
    block = 2 * channels
    if data_bytes < 0 or data_bytes % block:
        raise BadPcmError(f"WAV of {data_bytes} bytes of PCM: not a multiple of {block}")
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, sample_rate, sample_rate * block, block, 16)
    riff_bytes = 4 + len(fmt) + 8 + data_bytes
    if riff_bytes < _RIFF_LIMIT:
        return (
            struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE")
            + fmt
            + struct.pack("<4sI", b"data", data_bytes)
        )
    ds64_bytes = 28
    ds64 = struct.pack(
        "<4sIQQQI", b"ds64", ds64_bytes, riff_bytes + 8 + ds64_bytes, data_bytes, data_bytes // block, 0
    )
    riff = struct.pack("<4sI4s", b"RF64", _RIFF_LIMIT, b"WAVE")
    return riff + ds64 + fmt + struct.pack("<4sI", b"data", _RIFF_LIMIT)
