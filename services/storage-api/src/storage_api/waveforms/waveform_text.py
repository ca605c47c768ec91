"""A waveform as JSON, piece by piece: a million pixels are 10 MB of text, and 2 MB of numbers. Pure.

Owns that the pieces, joined, are what msgspec makes of `wire_waveforms.Waveform`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from storage_api.waveforms.pixels import Pixels
from storage_api.wire_waveforms import Waveform

if TYPE_CHECKING:
    from array import array

PIECE_NUMBERS: Final = 12_800
"""Of five bytes at the most, with the comma: less than what is sent at once."""
_LENGTHS: Final = [len(str(number)) for number in (*range(128), *range(-128, 0))]
"""Of the text of a number, by its byte."""


class WaveformText:
    """The JSON of one waveform."""

    def __init__(self, pixels: Pixels, samples_per_pixel: int, numbers: "array[int]") -> None:
        """`numbers`: for each pixel and channel the smallest and the largest sample; not empty."""
        content = Waveform(
            channels=pixels.form.channels,
            sample_rate=pixels.form.sample_rate,
            samples_per_pixel=samples_per_pixel,
            length=pixels.count,
            data=[],
        )
        self._head = msgspec.json.encode(content).removesuffix(b"]}")
        self._numbers = numbers

    def size(self) -> int:
        """Bytes."""
        import numpy as np  # noqa: PLC0415 - 60 ms that only who draws shall pay

        counts = np.bincount(np.frombuffer(self._numbers, np.uint8), minlength=256)
        return len(self._head) + int(counts @ np.array(_LENGTHS)) + len(self._numbers) - 1 + len(b"]}")

    def pieces(self) -> Iterator[bytes]:
        """The text; each piece takes a millisecond."""
        begin = self._head
        for at in range(0, len(self._numbers), PIECE_NUMBERS):
            piece = msgspec.json.encode(self._numbers[at : at + PIECE_NUMBERS].tolist())
            yield begin + piece[1:-1]
            begin = b","
        yield b"]}"
