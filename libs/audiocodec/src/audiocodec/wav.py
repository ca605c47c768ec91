"""WAV files of PCM: the header that goes before samples, and reading one.

Owns RIFF/WAVE and, from 4 GiB on, RF64 (EBU Tech 3306). Reading is strict: what does not add up is an error, chunks
that are not needed are passed over. Converts no samples.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from audiocodec.errors import BadPcmError, WavError

MAX_CHUNKS = 256
"""Chunks that are passed over before the samples."""
MAX_FORMAT_BYTES = 256
"""Longest `fmt ` chunk that is read; those that there are have 16, 18 or 40."""
MAX_TABLE_ENTRIES = 256
"""Most sizes of chunks that a `ds64` chunk may list."""

_RIFF_LIMIT = 0xFFFF_FFFF  # the size that RF64 reserves to say "see ds64"
_PCM, _EXTENSIBLE = 1, 0xFFFE
_PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")  # KSDATAFORMAT_SUBTYPE_PCM


@dataclass(frozen=True, slots=True)
class WavHeader:
    """What a file of PCM says before its samples."""

    sample_rate: int
    """Hz."""
    channels: int
    bits: int
    """Of a sample: 8 (unsigned), 16, 24 or 32 (signed, little-endian)."""
    data_offset: int
    """Where in the file the samples begin."""
    data_bytes: int
    """How many bytes of them there are: whole sample frames."""


@dataclass(frozen=True, slots=True)
class Wav:
    """A whole file of 16-bit PCM."""

    sample_rate: int
    """Hz."""
    channels: int
    pcm: bytes
    """s16le, interleaved."""


def wav_header(sample_rate: int, channels: int, data_bytes: int) -> bytes:
    """The header before `data_bytes` of s16le: 44 bytes, or 80 where the file's size needs RF64.

    BadPcmError: no whole number of samples, a rate that is not 1 to 2**31 Hz, channels not 1 to 255, or 4 GiB a second.
    """
    block = 2 * channels
    # The header has 32 bits for the bytes of a second.
    if not (0 < sample_rate < 1 << 31 and 0 < channels < 256 and sample_rate * block < 1 << 32):
        raise BadPcmError(f"WAV of {sample_rate} Hz and {channels} channels")
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


def read_wav(data: bytes) -> Wav:
    """The samples of this file, which must be whole. WavError: it is not, or no 16-bit PCM."""
    header, riff_end = _read(data)
    if header.bits != 16:
        raise WavError(f"WAV fmt chunk: {header.bits} bits a sample, only 16 are read")
    if riff_end != len(data):
        raise WavError(f"WAV: {len(data)} bytes, where its header says {riff_end}")
    return Wav(
        header.sample_rate,
        header.channels,
        data[header.data_offset : header.data_offset + header.data_bytes],
    )


def read_wav_header(prefix: bytes) -> WavHeader:
    """The header in the first bytes of a file. WavError names chunk and defect, also where they are too few."""
    return _read(prefix)[0]


def _read(data: bytes) -> tuple[WavHeader, int]:
    """The header, and where the file ends by its own word."""
    at, riff_end, sizes = _start(data)
    form: tuple[int, int, int] | None = None
    for _ in range(MAX_CHUNKS):
        name, size = _unpack("<4sI", data, at, f"chunk at byte {at}")
        if size == _RIFF_LIMIT:
            size = sizes.get(name, size)
        at += 8
        if at + size > riff_end:
            raise WavError(f"WAV chunk at byte {at - 8}: {size} bytes, past the end at {riff_end}")
        if name == b"data":
            return _header(form, at, size), riff_end
        if name == b"fmt ":
            if form is not None:
                raise WavError("WAV: two fmt chunks")
            form = _form(data, at, size)
        at += size + size % 2
    raise WavError(f"WAV: no samples in the first {MAX_CHUNKS} chunks")


def _start(data: bytes) -> tuple[int, int, dict[bytes, int]]:
    """Where the first chunk begins, where the file ends, and the sizes of chunks that RF64 tells apart from them."""
    magic, riff_bytes, kind = _unpack("<4sI4s", data, 0, "RIFF header")
    if magic not in (b"RIFF", b"RF64") or kind != b"WAVE":
        raise WavError("WAV: no RIFF or RF64 file of kind WAVE")
    if magic == b"RIFF":
        return 12, 8 + riff_bytes, {}
    return _ds64(data)


def _header(form: tuple[int, int, int] | None, at: int, size: int) -> WavHeader:
    if form is None:
        raise WavError("WAV: samples before any fmt chunk")
    rate, channels, bits = form
    block = channels * bits // 8
    if size % block:
        raise WavError(f"WAV data chunk: {size} bytes, not a multiple of {block}")
    return WavHeader(rate, channels, bits, at, size)


def _ds64(data: bytes) -> tuple[int, int, dict[bytes, int]]:
    """RF64 keeps its sizes in its first chunk: the file's, the samples', and a table for others."""
    name, size, riff_bytes, data_bytes, _samples, entries = _unpack("<4sIQQQI", data, 12, "ds64 chunk")
    if name != b"ds64":
        raise WavError("WAV: RF64 without a ds64 chunk at its start")
    if entries > MAX_TABLE_ENTRIES or size < 28 + 12 * entries:
        raise WavError(f"WAV ds64 chunk: {size} bytes and {entries} sizes, which do not fit")
    sizes = dict(_unpack("<4sQ", data, 48 + 12 * number, "ds64 chunk") for number in range(entries))
    return 20 + size + size % 2, 8 + riff_bytes, {**sizes, b"data": data_bytes}


def _form(data: bytes, at: int, size: int) -> tuple[int, int, int]:
    """Rate, channels and bits of a `fmt ` chunk."""
    if not 16 <= size <= MAX_FORMAT_BYTES:
        raise WavError(f"WAV fmt chunk: {size} bytes, 16 to {MAX_FORMAT_BYTES} are possible")
    tag, channels, rate, byte_rate, block, bits = _unpack("<HHIIHH", data, at, "fmt chunk")
    if tag == _EXTENSIBLE:
        if size < 40:
            raise WavError(f"WAV fmt chunk: {size} bytes, too few for the extensible form")
        _extra, valid_bits, _mask, guid = _unpack("<HHI16s", data, at + 16, "fmt chunk")
        if guid != _PCM_GUID or not 0 < valid_bits <= bits:
            raise WavError(f"WAV fmt chunk: sub-format {guid.hex()}, {valid_bits} bits: only PCM is read")
    elif tag != _PCM:
        raise WavError(f"WAV fmt chunk: format {tag:#06x}, only PCM is read")
    if not (0 < rate < 1 << 31 and 0 < channels < 256 and bits in (8, 16, 24, 32)):
        raise WavError(f"WAV fmt chunk: {rate} Hz, {channels} channels, {bits} bits")
    if (block, byte_rate) != (channels * bits // 8, rate * channels * bits // 8):
        raise WavError(
            f"WAV fmt chunk: {block} bytes a frame and {byte_rate} a second, which does not add up"
        )
    return rate, channels, bits


def _unpack(form: str, data: bytes, at: int, what: str) -> tuple[Any, ...]:
    if at + struct.calcsize(form) > len(data):
        raise WavError(f"WAV {what}: cut short")
    return struct.unpack_from(form, data, at)
