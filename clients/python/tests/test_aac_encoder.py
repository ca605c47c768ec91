import numpy as np
import pytest

from audiocodec.aac import AacDecoder
from audiocodec.adts import SAMPLE_RATES, adts_frames
from tapedeck.aac_encoder import PRE_SKIP_SAMPLES, AacEncoder


def chirp(rate, count):
    at = np.arange(count) / rate
    return (12_000 * np.sin(2 * np.pi * (200 + 300 * at) * at)).astype("<i2")


@pytest.mark.parametrize("rate", [rate for rate in SAMPLE_RATES if 8000 <= rate <= 48000])
def test_what_comes_back_is_late_by_exactly_the_pre_skip(rate):
    source = chirp(rate, rate + 37)
    encoder = AacEncoder(rate)
    messages = encoder.encode(source.tobytes()) + encoder.finish()
    assert all(len(adts_frames(message)) == 1 for message in messages)
    assert adts_frames(messages[0])[0].sample_rate == rate
    decoder = AacDecoder(rate)
    heard = np.frombuffer(b"".join(decoder.decode(message) for message in messages), "<i2")
    assert decoder.spoiled == 0
    assert 0 <= len(heard) - PRE_SKIP_SAMPLES - len(source) < 1024
    back = heard[PRE_SKIP_SAMPLES:][: len(source)].astype(float)
    difference = source - back
    assert 10 * np.log10((back @ back) / (difference @ difference)) > 20


def test_pieces_do_not_matter():
    pcm = chirp(16000, 16000).tobytes()
    whole, cut = AacEncoder(16000), AacEncoder(16000)
    expected = whole.encode(pcm) + whole.finish()
    assert [
        m for at in range(0, len(pcm), 1234) for m in cut.encode(pcm[at : at + 1234])
    ] + cut.finish() == expected


def test_nothing_in_nothing_out():
    encoder = AacEncoder(48000)
    assert encoder.encode(b"") == encoder.finish() == []


def test_a_rate_that_adts_has_not_is_refused():
    with pytest.raises(ValueError, match="not in tuple"):
        AacEncoder(12345)
