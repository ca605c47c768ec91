"""A waveform's JSON, in pieces."""

from array import array

import msgspec
import pytest

from storage_api.pcm_rendering import PcmForm
from storage_api.waveforms.pixels import Pixels
from storage_api.waveforms.waveform_text import PIECE_NUMBERS, WaveformText
from storage_api.wire_waveforms import Waveform


@pytest.mark.parametrize("count", [1, 2, PIECE_NUMBERS // 2, PIECE_NUMBERS // 2 + 1, 30_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_pieces_are_the_waveform(count, channels):
    pixels = Pixels(PcmForm(16_000, channels), 7, 4, count)
    numbers = array("b", [number % 256 - 128 for number in range(count * channels * 2)])
    text = WaveformText(pixels, 1024, numbers)
    pieces = list(text.pieces())
    wanted = Waveform(
        channels=channels, sample_rate=16_000, samples_per_pixel=1024, length=count, data=numbers.tolist()
    )
    assert b"".join(pieces) == msgspec.json.encode(wanted)
    assert text.size() == len(b"".join(pieces))
    assert max(map(len, pieces)) <= 65_536


def test_the_widest_numbers_are_no_larger_pieces():
    pixels = Pixels(PcmForm(16_000, 1), 7, 4, PIECE_NUMBERS)
    text = WaveformText(pixels, 1024, array("b", [-128] * PIECE_NUMBERS * 2))
    assert max(map(len, text.pieces())) <= 65_536
