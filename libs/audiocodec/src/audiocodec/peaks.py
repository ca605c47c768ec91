"""Peaks of PCM, from which waveforms are drawn: of each block of sample frames the smallest and the largest, in 8 bits.

Owns their arithmetic, so that pieces join whatever they were cut into: blocks lie on a grid that begins at frame 0 of whoever counts, and
pixels are whole blocks. Peaks are signed bytes, for each block and channel the smallest, then the largest; where no sample lies the
smallest is 127 and the largest -128. 16 bits become 8 by division, towards zero.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from audiocodec.pcm import check_whole

if TYPE_CHECKING:
    import numpy as np

BLOCK_FRAMES = 256


def block_peaks(pcm: bytes, channels: int, first_frame: int) -> bytes:
    """Peaks of the blocks that s16le interleaved PCM touches, the first of them block `first_frame // BLOCK_FRAMES`.

    BadPcmError: no whole number of sample frames.
    """
    check_whole(pcm, channels)
    if not pcm:
        return b""
    import numpy as np  # noqa: PLC0415 - 60 ms that only who draws shall pay

    frames = np.frombuffer(pcm, "<i2").reshape(-1, channels)
    starts = np.arange(-(first_frame % BLOCK_FRAMES), len(frames), BLOCK_FRAMES)
    starts[0] = 0
    both = np.stack([np.minimum.reduceat(frames, starts), np.maximum.reduceat(frames, starts)], axis=2)
    wide = both.astype(np.int32)
    return ((wide + 255 * (wide < 0)) >> 8).astype(np.int8).tobytes()


class PeakRow:
    """A row of pixels of so many blocks each, filled piece by piece, in any order. Not for several threads at once."""

    def __init__(self, first_block: int, pixels: int, channels: int, blocks_per_pixel: int = 1) -> None:
        """Begins at block `first_block`; empty."""
        import numpy as np  # noqa: PLC0415 - see `block_peaks`

        self.first_block = first_block
        self.channels = channels
        self._each = blocks_per_pixel
        self._pixels: np.ndarray = np.empty((pixels, channels, 2), np.int8)
        self._pixels[..., 0], self._pixels[..., 1] = 127, -128

    def add(self, first_block: int, peaks: bytes) -> None:
        """Peaks of blocks from `first_block` on; what lies outside of the row is left out."""
        import numpy as np  # noqa: PLC0415 - see `block_peaks`

        blocks = np.frombuffer(peaks, np.int8).reshape(-1, self.channels, 2)
        before = max(0, self.first_block - first_block)
        at = first_block + before - self.first_block
        blocks = blocks[before : before + max(0, len(self._pixels) * self._each - at)]
        if not len(blocks):
            return
        pixel = at // self._each
        starts = np.arange(pixel * self._each - at, len(blocks), self._each)
        starts[0] = 0
        here = self._pixels[pixel : pixel + len(starts)]
        np.minimum(here[..., 0], np.minimum.reduceat(blocks[..., 0], starts), out=here[..., 0])
        np.maximum(here[..., 1], np.maximum.reduceat(blocks[..., 1], starts), out=here[..., 1])

    def add_silence(self, first_frame: int, end_frame: int) -> None:
        """Frames that are zero, `end_frame` excluded; frames are counted as blocks are."""
        import numpy as np  # noqa: PLC0415 - see `block_peaks`

        size = self._each * BLOCK_FRAMES
        zero = self.first_block * BLOCK_FRAMES
        first, end = max(0, first_frame - zero), end_frame - zero
        if end <= first:
            return
        here = self._pixels[first // size : -(-end // size)]
        np.minimum(here[..., 0], 0, out=here[..., 0])
        np.maximum(here[..., 1], 0, out=here[..., 1])

    @property
    def peaks(self) -> bytes:
        """Peaks of its pixels, also of those where nothing lies."""
        return self._pixels.tobytes()

    def numbers(self) -> array[int]:
        """The same as numbers of a byte each, with 0 for what is empty."""
        import numpy as np  # noqa: PLC0415 - see `block_peaks`

        empty = self._pixels[..., :1] > self._pixels[..., 1:]
        return array("b", np.where(empty, np.int8(0), self._pixels).tobytes())
