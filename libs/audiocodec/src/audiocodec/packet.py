"""What an Opus packet says about itself (RFC 6716 §3).

Owns the check that bytes are an Opus packet, and its duration, channels, mode and bandwidth. Decodes nothing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from audiocodec import native
from audiocodec.errors import BadPacketError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PACKET_BYTES = 61_440
"""Longest packet that is taken: what RFC 7845 §6 calls reasonable for one stream. More can only be padding."""
MAX_PACKET_SAMPLES = 5_760
"""120 ms at 48 kHz, the longest packet there is (RFC 6716 §3.4, R5)."""

MAX_FRAME_BYTES = 1_275
"""Longest frame there is (RFC 6716 §3.4, R2)."""

MAX_SINGLE_BYTES = 1 + MAX_FRAME_BYTES
"""Longest packet of one frame: TOC and frame."""
_FRAMING_BYTES = 2
"""TOC and frame count, and for each frame its length, take at most so many each (RFC 6716 §3.2.5)."""

Mode = Literal["silk", "hybrid", "celt"]
Bandwidth = Literal["NB", "MB", "WB", "SWB", "FB"]

# RFC 6716 table 2: mode, bandwidth, and the durations of its frames in samples at 48 kHz, config by config.
_CONFIGURATIONS: tuple[tuple[Mode, Bandwidth, tuple[int, ...]], ...] = (
    ("silk", "NB", (480, 960, 1920, 2880)),
    ("silk", "MB", (480, 960, 1920, 2880)),
    ("silk", "WB", (480, 960, 1920, 2880)),
    ("hybrid", "SWB", (480, 960)),
    ("hybrid", "FB", (480, 960)),
    ("celt", "NB", (120, 240, 480, 960)),
    ("celt", "WB", (120, 240, 480, 960)),
    ("celt", "SWB", (120, 240, 480, 960)),
    ("celt", "FB", (120, 240, 480, 960)),
)
_CONFIGS = tuple((mode, band, samples) for mode, band, sizes in _CONFIGURATIONS for samples in sizes)


@dataclass(frozen=True, slots=True)
class PacketFacts:
    """What the packet's first bytes tell."""

    samples: int
    """Duration, per channel, at 48 kHz: 120 to 5,760."""
    channels: int
    """1 or 2, as this packet is coded; a stream may change it from packet to packet."""
    frames: int
    """Opus frames in the packet, 1 to 48."""
    mode: Mode
    bandwidth: Bandwidth


def packet_facts(data: bytes) -> PacketFacts:
    """The facts of one packet, its whole framing checked (RFC 6716 §3.4, R1 to R7).

    BadPacketError: empty, longer than MAX_PACKET_BYTES, longer than 120 ms, or framing that does not add up.
    """
    size = len(data)
    if 0 < size <= MAX_SINGLE_BYTES:
        # Code 0, one frame that fills the packet: nothing else to check, and what nearly every packet is.
        facts = _SINGLE[data[0]]
        if facts is not None:
            return facts
    if not 0 < size <= MAX_PACKET_BYTES:
        raise BadPacketError(f"Opus packet of {len(data)} bytes: 1 to {MAX_PACKET_BYTES} are possible")
    frames = native.packet_frames(data)
    if frames < 1:
        raise BadPacketError(f"Opus packet of {len(data)} bytes, TOC {data[0]:#04x}: bad framing")
    return _facts(data[0], frames)


def is_bloated(packet: bytes) -> bool:
    """Whether a valid packet has more bytes than its frames could fill: the rest can only be padding (RFC 6716 §3.2.5).

    What is not bloated has at most 1,277 bytes a frame, so half a megabyte a second of audio where frames last 2.5 ms. Files may hold others.
    """
    size = len(packet)
    if size <= MAX_SINGLE_BYTES:
        return False
    return size > _FRAMING_BYTES + packet_facts(packet).frames * (_FRAMING_BYTES + MAX_FRAME_BYTES)


def packet_durations(packets: Iterable[bytes]) -> list[int]:
    """How long each packet is, in samples at 48 kHz: `packet_facts(packet).samples`, for many at once, faster.

    BadPacketError: one that `packet_facts` refuses.
    """
    single = _SINGLE_SAMPLES
    return [
        # 0 is no duration: there, and for what code 0 cannot be, the whole check follows.
        (single[packet[0]] if 0 < len(packet) <= MAX_SINGLE_BYTES else 0) or packet_facts(packet).samples
        for packet in packets
    ]


@functools.cache
def _facts(toc: int, frames: int) -> PacketFacts:
    mode, bandwidth, samples = _CONFIGS[toc >> 3]
    return PacketFacts(
        samples=samples * frames,
        channels=2 if toc & 4 else 1,
        frames=frames,
        mode=mode,
        bandwidth=bandwidth,
    )


# Facts and durations of packets of one frame (code 0) by TOC; None and 0 for the other codes.
_SINGLE = tuple(None if toc & 3 else _facts(toc, 1) for toc in range(256))
_SINGLE_SAMPLES = tuple(facts.samples if facts else 0 for facts in _SINGLE)


def single_samples(toc: int) -> int:
    """Duration, at 48 kHz, of a packet of one frame (code 0) that begins with this byte, whatever else it holds; 0 for the other codes."""
    return _SINGLE_SAMPLES[toc]


def absent_frames(data: bytes) -> int:
    """How many of a valid packet's frames hold at most a byte: libopus takes them for lost, and makes up sound (DTX)."""
    if not data[0] & 3:
        return int(len(data) <= 2)
    return sum(size <= 1 for size in native.frame_sizes(data))
