import pytest

from audiocodec.errors import BadPcmError
from audiocodec.pcm import SAMPLE_RATES, check_format


@pytest.mark.parametrize("rate", SAMPLE_RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_opus_has(rate, channels):
    check_format(rate, channels)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (0, 1), (-8000, 1), (16_000, 0), (16_000, 3)])
def test_what_opus_has_not(rate, channels):
    with pytest.raises(BadPcmError, match=r"possible|only"):
        check_format(rate, channels)
