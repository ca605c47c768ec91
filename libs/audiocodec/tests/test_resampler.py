import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.errors import BadPcmError, CodecError
from audiocodec.pcm import SAMPLE_RATES, interleave
from audiocodec.resampler import Resampler, load, opus_rate, resample

RATES = st.integers(8_000, 48_000) | st.sampled_from([11_025, 22_050, 32_000, 44_100, *SAMPLE_RATES])


def due(count: int, rate_in: int, rate_out: int) -> int:
    return math.floor(count * rate_out / rate_in + 0.5)


def tone(rate: int, hz: float, seconds: float = 1, level: float = 20_000) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def pcm_of(samples: np.ndarray) -> bytes:
    return samples.round().astype("<i2").tobytes()


def samples_of(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(float)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(8_000, 8_000), (8_001, 12_000), (11_025, 12_000), (12_001, 16_000), (22_050, 24_000), (24_001, 48_000)],
)
def test_the_next_opus_rate(rate, expected):
    assert opus_rate(rate) == expected


@pytest.mark.parametrize("rate", [48_001, 0, -8_000])
def test_no_opus_rate(rate):
    with pytest.raises(BadPcmError, match="possible"):
        opus_rate(rate)


@pytest.mark.parametrize("rate", [*range(8_000, 48_001, 977), 11_025, 22_050, 44_100, 47_999])
def test_as_many_samples_as_the_clock_wants(rate):
    for count in (0, 1, 2, 3, 99, 4_001):
        got = len(resample(bytes(2 * count), rate, opus_rate(rate))) // 2
        assert got == due(count, rate, opus_rate(rate))


def test_exact_halves_round_up():
    assert len(resample(bytes(200), 12_000, 44_100)) == 2 * 368  # 367.5


@settings(max_examples=60)
@given(data=st.data(), rate_in=RATES, rate_out=RATES, channels=st.sampled_from([1, 1, 2]))
def test_the_pieces_do_not_matter(speech, data, rate_in, rate_out, channels):
    count = data.draw(st.integers(0, 3_000))
    pcm = speech[40_000 : 40_000 + 2 * channels * count]
    resampler = Resampler(rate_in, rate_out, channels)
    out, at = [], 0
    while at < count:
        size = data.draw(st.integers(0, 700))
        out.append(resampler.process(pcm[2 * channels * at : 2 * channels * (at + size)]))
        at += size
    out.append(resampler.finish())
    joined = b"".join(out)
    assert joined == resample(pcm, rate_in, rate_out, channels)
    assert len(joined) == 2 * channels * due(count, rate_in, rate_out)


@pytest.mark.parametrize(
    ("rate_in", "rate_out"),
    [(44_100, 48_000), (11_025, 12_000), (47_999, 48_000), (48_000, 16_000), (16_000, 44_100)],
)
def test_there_is_no_delay_and_no_change_of_level(rate_in, rate_out):
    hz = 1_000
    heard = samples_of(resample(pcm_of(tone(rate_in, hz)), rate_in, rate_out))
    middle = slice(rate_out // 10, -rate_out // 10)
    noise = (heard - tone(rate_out, hz))[middle]
    assert 20 * np.log10(np.std(noise) / 20_000) < -90


def test_what_the_lower_rate_cannot_hold_does_not_fold_back():
    for hz in (8_800, 12_000, 20_000):
        heard = samples_of(resample(pcm_of(tone(48_000, hz)), 48_000, 16_000))
        assert np.abs(heard[1_600:-1_600]).max() <= 1


def test_it_does_not_wrap_where_the_filter_overshoots():
    square = np.where(np.arange(44_100) // 50 % 2, 32_767, -32_768)
    heard = samples_of(resample(pcm_of(square), 44_100, 48_000))
    where = np.arange(len(heard)) * 44_100 / 48_000 % 50
    plateau = heard[(where > 10) & (where < 40)]
    assert (np.abs(plateau) > 25_000).all()
    assert (heard.min(), heard.max()) == (-32_768, 32_767)


def test_silence_stays_silence():
    assert not any(resample(bytes(20_000), 44_100, 48_000))


def test_channels_do_not_mix(speech):
    near, far = speech[32_000:64_000], speech[64_000:96_000]
    both = resample(interleave(near, far), 44_100, 48_000, 2)
    assert both == interleave(resample(near, 44_100, 48_000), resample(far, 44_100, 48_000))


def test_it_does_not_hold_back_for_long(speech):
    for rate, seconds in ((8_001, 0.005), (11_025, 0.004), (22_050, 0.002), (44_100, 0.001)):
        resampler, ready = Resampler(rate, opus_rate(rate)), 0
        step = rate // 50
        for number in range(100):
            ready += len(resampler.process(speech[2 * step * number : 2 * step * (number + 1)])) // 2
            assert (number + 1) * step / rate - ready / opus_rate(rate) < seconds


def test_the_same_rate_passes_through(speech):
    resampler = Resampler(16_000, 16_000)
    assert resampler.process(speech) == speech
    assert resampler.finish() == b""


def test_an_hour_of_an_odd_rate_ends_on_the_sample():
    resampler = Resampler(8_001, 12_000)
    second, got = bytes(2 * 8_001), 0
    for _ in range(3_600):
        got += len(resampler.process(second))
    assert (got + len(resampler.finish())) // 2 == 3_600 * 12_000


@pytest.mark.parametrize(("rate_in", "rate_out"), [(3_999, 8_000), (8_000, 192_001), (0, 8_000), (-1, -1)])
def test_rates_that_are_not_possible(rate_in, rate_out):
    with pytest.raises(BadPcmError, match="sample rate"):
        Resampler(rate_in, rate_out)


@pytest.mark.parametrize("channels", [0, 3])
def test_channels_that_are_not_possible(channels):
    with pytest.raises(BadPcmError, match="channels"):
        Resampler(8_000, 12_000, channels)


def test_half_samples_are_refused_and_nothing_is_taken(speech):
    resampler = Resampler(44_100, 48_000)
    with pytest.raises(BadPcmError, match="not a multiple of 2"):
        resampler.process(speech[:4_001])
    out = resampler.process(speech[:4_000]) + resampler.finish()
    assert out == resample(speech[:4_000], 44_100, 48_000)


def test_nothing_after_the_end():
    resampler = Resampler(44_100, 48_000)
    assert resampler.finish() == b""
    with pytest.raises(CodecError, match="finished"):
        resampler.process(b"")
    with pytest.raises(CodecError, match="finished"):
        resampler.finish()


def test_load_brings_av_and_the_package_alone_does_not():
    load()
    program = "import sys, audiocodec.resampler; print('numpy' in sys.modules, 'av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
