"""ADTS frames, as a device sends AAC (ISO/IEC 13818-7 §6.2, ISO/IEC 14496-3 §1.A.2).

Owns the framing: that a message is whole frames, and what their headers say. Decodes nothing, and does not check the
optional CRC, which covers parts that only a decoder finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from audiocodec.errors import BadAdtsError

MAX_FRAMES = 8
"""Frames in one message; most devices send one."""
MAX_FRAME_BYTES = 8_191
"""What the header's 13 bits can say."""
BLOCK_SAMPLES = 1_024
"""Samples in a raw data block, at the header's rate."""
MAX_BLOCK_BYTES = 1_536
"""Of a raw data block, for each channel: twice a decoder's input buffer of 6,144 bits (ISO/IEC 13818-7 §8.2.2), which
ffmpeg's encoder oversteps by a tenth."""
SAMPLE_RATES = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000),
    *(24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
"""Hz, in the order of the header's index (ISO/IEC 14496-3 table 1.18)."""

_SSR = 2  # as the header counts profiles, from 0
_HEADER_BYTES = 7
_CRC_BYTES = 2
_POSITION_BYTES = 2
_MAX_HEADER_BYTES = _HEADER_BYTES + 3 * _POSITION_BYTES + _CRC_BYTES


@dataclass(frozen=True, slots=True)
class AdtsFrame:
    """What one frame's header says, and where it lies."""

    sample_rate: int
    """Hz, as the header has it; HE-AAC plays at twice that."""
    channels: int
    """1 or 2; parametric stereo counts as 1."""
    samples: int
    """Per channel, at `sample_rate`: 1,024 a raw data block, 1 to 4 of them."""
    size: int
    """Bytes, header and all."""
    object_type: int
    """Audio object type (ISO/IEC 14496-3 table 1.17): 1 Main, 2 LC, 4 LTP."""
    parts: tuple[tuple[int, int], ...]
    """Where its raw data blocks lie in the message: each from and to; all in one part where nothing tells them apart."""


def adts_frames(message: bytes) -> tuple[AdtsFrame, ...]:
    """The frames that make up the whole message, 1 to MAX_FRAMES.

    BadAdtsError names the frame, its place and the defect: no sync word, a reserved value, profile SSR, other
    channels than mono and stereo, cut short, or bytes left over.
    """
    if len(message) > MAX_FRAMES * MAX_FRAME_BYTES:
        raise BadAdtsError(
            f"ADTS message of {len(message)} bytes: {MAX_FRAMES * MAX_FRAME_BYTES} are possible"
        )
    if not message:
        raise BadAdtsError("ADTS message of 0 bytes: no frame")
    frames: list[AdtsFrame] = []
    at = 0
    while at < len(message):
        if len(frames) == MAX_FRAMES:
            raise BadAdtsError(f"ADTS message: more than {MAX_FRAMES} frames")
        frame = _frame(message, at)
        frames.append(frame)
        at += frame.size
    return tuple(frames)


def _frame(message: bytes, at: int) -> AdtsFrame:
    where = f"ADTS frame at byte {at}"
    if len(message) - at < _HEADER_BYTES:
        raise BadAdtsError(f"{where}: header cut short, {len(message) - at} bytes of {_HEADER_BYTES}")
    # From the left: syncword 12, ID 1, layer 2, protection_absent 1, profile 2, rate index 4, private 1, channels 3,
    # original, home, copyright bit and start 4, frame length 13, buffer fullness 11, blocks less one 2.
    header = int.from_bytes(message[at : at + _HEADER_BYTES], "big")
    if header >> 44 != 0xFFF:
        raise BadAdtsError(f"{where}: no sync word")
    if header >> 41 & 3:
        raise BadAdtsError(f"{where}: layer {header >> 41 & 3}, only 0 is possible")
    profile, rate_index, configuration = header >> 38 & 3, header >> 34 & 15, header >> 30 & 7
    if profile == _SSR:
        raise BadAdtsError(f"{where}: profile SSR, which cannot be decoded")
    if rate_index >= len(SAMPLE_RATES):
        raise BadAdtsError(f"{where}: sampling frequency index {rate_index}, which is reserved")
    if configuration not in (1, 2):
        raise BadAdtsError(f"{where}: channel configuration {configuration}, 1 and 2 are possible")
    size, blocks = header >> 13 & 0x1FFF, (header & 3) + 1
    if size > len(message) - at:
        raise BadAdtsError(f"{where}: cut short, {len(message) - at} bytes of {size}")
    if size > _MAX_HEADER_BYTES + blocks * (_CRC_BYTES + configuration * MAX_BLOCK_BYTES):
        raise BadAdtsError(f"{where}: {size} bytes, too long for {blocks} raw data blocks")
    return AdtsFrame(
        sample_rate=SAMPLE_RATES[rate_index],
        channels=configuration,
        samples=BLOCK_SAMPLES * blocks,
        size=size,
        object_type=profile + 1,
        parts=_parts(message, at, size, blocks, protected=not header >> 40 & 1),
    )


def _parts(
    message: bytes, at: int, size: int, blocks: int, *, protected: bool
) -> tuple[tuple[int, int], ...]:
    """Where the raw data blocks lie.

    With CRCs and several blocks the header says where each begins but the first, counted from that one, and each
    ends with a CRC of its own (ISO/IEC 13818-7 §6.2.1 and §6.2.2).
    """
    positions_at, end = at + _HEADER_BYTES, at + size
    crc_at = positions_at + (_POSITION_BYTES * (blocks - 1) if protected else 0)
    first = crc_at + (_CRC_BYTES if protected else 0)
    if end < first + blocks:
        raise BadAdtsError(f"ADTS frame at byte {at}: {size} bytes, too short for {blocks} raw data blocks")
    if blocks == 1 or not protected:
        return ((first, end),)
    begins = [
        first + int.from_bytes(message[place : place + _POSITION_BYTES], "big")
        for place in range(positions_at, crc_at, _POSITION_BYTES)
    ]
    parts = tuple((begin, after - _CRC_BYTES) for begin, after in pairwise((first, *begins, end)))
    if any(begin >= until for begin, until in parts):
        raise BadAdtsError(f"ADTS frame at byte {at}: its raw data blocks are not in order")
    return parts
