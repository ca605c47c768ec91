"""Pixels: whole, beginning with the block of the first sample."""

from hypothesis import given
from hypothesis import strategies as st

from storage_api.pcm_rendering import PcmForm
from storage_api.waveforms.pixels import Pixels

RATES = st.sampled_from([8_000, 12_000, 16_000, 24_000, 48_000])


@given(RATES, st.integers(1, 40), st.integers(0, 10**14), st.integers(1, 10**8))
def test_they_hold_all_of_the_time_and_less_than_a_pixel_more(rate, blocks, start, length):
    form = PcmForm(rate, 1)
    pixels = Pixels.of(form, 256 * blocks, start, start + length)
    half = 24_000 // rate + 1  # positions are rounded to frames
    each = 256 * blocks * 48_000 // rate
    assert pixels.start_48k - half <= start < pixels.start_48k + 256 * 48_000 // rate + half
    assert pixels.end_48k + half >= start + length
    assert pixels.end_48k - each - half < start + length or pixels.count == 1
