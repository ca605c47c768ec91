"""Which blocks and pixels a stretch of time has. Pure.

Blocks lie on one grid since 1970 for each sample rate, whatever is recorded and asked for: so those of all objects join, and are kept once.
A waveform begins with the block that its first sample lies in, and has whole pixels.
"""

from dataclasses import dataclass
from typing import Final

from audiocodec.peaks import BLOCK_FRAMES
from storage_api.pcm_rendering import PcmForm

DEFAULT_SAMPLES_PER_PIXEL: Final = 1024
MAX_PIXELS: Final = 1_000_000
"""In one answer: 2 MB in memory, up to 10 MB of JSON; twice that where there are two channels."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pixels of a waveform."""

    form: PcmForm
    first_block: int
    """Blocks since 1970."""
    blocks_per_pixel: int
    count: int

    @classmethod
    def of(cls, form: PcmForm, samples_per_pixel: int, start_48k: int, end_48k: int) -> "Pixels":
        """Those that hold the time from `start_48k` to `end_48k`; one at least. `samples_per_pixel` is a multiple of BLOCK_FRAMES."""
        first = form.frames(start_48k) // BLOCK_FRAMES
        frames = form.frames(end_48k) - first * BLOCK_FRAMES
        return cls(form, first, samples_per_pixel // BLOCK_FRAMES, max(1, -(-frames // samples_per_pixel)))

    @property
    def start_48k(self) -> int:
        """Unix time of the first pixel's beginning, at 48 kHz."""
        return self.first_block * self._block_48k

    @property
    def end_48k(self) -> int:
        """The moment after the last pixel."""
        return self.start_48k + self.count * self.blocks_per_pixel * self._block_48k

    @property
    def _block_48k(self) -> int:
        """A whole number at each of Opus' rates."""
        return BLOCK_FRAMES * 48_000 // self.form.sample_rate
