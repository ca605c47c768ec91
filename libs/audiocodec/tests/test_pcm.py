import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec.errors import BadPcmError
from audiocodec.pcm import MAX_CHANNELS, SAMPLE_RATES, check_format, downmix, interleave


@pytest.mark.parametrize("rate", SAMPLE_RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_opus_has(rate, channels):
    check_format(rate, channels)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (0, 1), (-8000, 1), (16_000, 0), (16_000, 3)])
def test_what_opus_has_not(rate, channels):
    with pytest.raises(BadPcmError, match=r"possible|only"):
        check_format(rate, channels)


samples = st.lists(st.integers(-32_768, 32_767), max_size=60)


def pcm_of(values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


@given(samples, samples)
def test_interleaved_near_is_left_and_far_is_right(near, far):
    size = min(len(near), len(far))
    near, far = near[:size], far[:size]
    assert interleave(pcm_of(near), pcm_of(far)) == pcm_of(
        [s for pair in zip(near, far, strict=True) for s in pair]
    )


@given(samples, st.integers(1, MAX_CHANNELS))
def test_the_mix_is_the_mean_with_halves_up(values, channels):
    values = values[: len(values) // channels * channels]
    frames = [values[at : at + channels] for at in range(0, len(values), channels)]
    means = [math.floor(Fraction(sum(frame), channels) + Fraction(1, 2)) for frame in frames]
    assert downmix(pcm_of(values), channels) == pcm_of(means)


@given(samples)
def test_a_voice_on_both_sides_mixes_to_itself(values):
    assert downmix(interleave(pcm_of(values), pcm_of(values)), 2) == pcm_of(values)


def test_one_channel_comes_back_as_it_is():
    assert downmix(b"abcd", 1) == b"abcd"


def test_lengths_that_do_not_fit():
    with pytest.raises(BadPcmError, match="6 bytes of PCM: not a multiple of 4"):
        downmix(bytes(6), 2)
    with pytest.raises(BadPcmError, match="3 bytes"):
        interleave(bytes(3), bytes(3))
    with pytest.raises(BadPcmError, match="4 and 2 bytes"):
        interleave(bytes(4), bytes(2))
    with pytest.raises(BadPcmError, match="9 channels"):
        downmix(bytes(18), 9)
