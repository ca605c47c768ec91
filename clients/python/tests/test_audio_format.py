import pytest

from tapedeck.aac_encoder import AacEncoder
from tapedeck.audio_format import AudioFormat, codec_rate


def test_durations():
    assert AudioFormat("pcm16", 16000).duration_ms(bytes(640)) == 20
    assert AudioFormat("pcm8", 8000).duration_ms(bytes(160)) == 20
    frame, *_ = AacEncoder(16000).encode(bytes(8192))
    assert AudioFormat("aac", 16000).duration_ms(frame) == 64
    assert AudioFormat("aac", 16000).duration_ms(2 * frame) == 128
    assert AudioFormat("aac", 16000).duration_ms(b"any") == 0
    assert AudioFormat("opus", 16000).duration_ms(b"\x48\x01") == 20  # TOC: SILK wideband, 20 ms, one frame
    assert AudioFormat("opus", 16000).duration_ms(b"") == 0


def test_only_pcm_may_be_cut():
    assert AudioFormat("pcm16").divisible
    assert AudioFormat("pcm16").frame_bytes == 2
    assert AudioFormat("pcm8").frame_bytes == 1
    assert not AudioFormat("opus").divisible


def test_the_query():
    assert AudioFormat("opus", 48000, pre_skip=312).query() == {
        "codec": "opus",
        "sample_rate": "48000",
        "channels": "1",
        "pre_skip": "312",
    }


@pytest.mark.parametrize(
    ("codec", "rate", "sent"),
    [
        ("pcm16", 44100, 44100),
        ("pcm16", 11111, 11111),
        ("pcm16", 4000, 8000),
        ("pcm8", 96000, 48000),
        ("opus", 44100, 48000),
        ("opus", 16000, 16000),
        ("opus", 22050, 24000),
        ("aac", 44100, 44100),
        ("aac", 23000, 24000),
        ("aac", 7350, 8000),
        ("aac", 88200, 48000),
    ],
)
def test_audio_is_sent_at_its_own_rate_or_the_next_that_the_codec_has(codec, rate, sent):
    assert codec_rate(codec, rate) == sent
