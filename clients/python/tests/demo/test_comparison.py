import numpy as np
import pytest

from tapedeck.demo.comparison import compare

NOISE = np.random.default_rng(7).integers(-8000, 8000, 16000).astype(np.int16)


def test_the_same_is_the_same():
    found = compare(NOISE, NOISE)
    assert (found.lag, round(found.correlation, 6)) == (0, 1)
    assert found.snr_db == float("inf")
    assert found.spectral_distance_db == 0
    assert found.runner_up < 0.1


@pytest.mark.parametrize("late", [1, 37, 400])
def test_a_lag_is_found_to_the_sample_and_its_sign(late):
    behind = np.concatenate([np.zeros(late, np.int16), NOISE])
    assert compare(NOISE, behind).lag == late
    assert compare(behind, NOISE).lag == -late
    assert compare(NOISE, behind).snr_db < 0


def test_repetition_makes_a_runner_up():
    assert compare(np.tile(NOISE[:4000], 4), np.tile(NOISE[:4000], 4)).runner_up > 0.7


def test_noise_lowers_the_ratio():
    louder = (NOISE * 1.1).astype(np.int16)
    assert 19 < compare(NOISE, louder).snr_db < 21


def test_silence_cannot_be_compared():
    with pytest.raises(ValueError, match="silent"):
        compare(NOISE, np.zeros(16000, np.int16))
