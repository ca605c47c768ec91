"""What a waveform is over the wire: JSON of BBC's audiowaveform, version 2 (its DataFormat.md)."""

from typing import Literal

import msgspec


class Waveform(msgspec.Struct, frozen=True, kw_only=True):
    """Peaks, as audiowaveform and peaks.js have them."""

    version: Literal[2] = 2
    channels: int
    sample_rate: int
    """Hz."""
    samples_per_pixel: int
    bits: Literal[8] = 8
    length: int
    """Pixels."""
    data: list[int]
    """For each pixel and channel the smallest and the largest sample, -128 to 127; gaps are 0."""
