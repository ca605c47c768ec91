import pytest

from listen.audio_format import AudioFormat


@pytest.mark.parametrize(
    ("codec", "rate", "scale", "frame_bytes"),
    [("pcm8", 8_000, 6, 160), ("pcm16", 16_000, 3, 640), ("pcm16", 48_000, 1, 1_920)],
)
def test_the_arithmetic_between_bytes_and_samples(codec, rate, scale, frame_bytes):
    audio_format = AudioFormat(codec, rate)
    assert (audio_format.scale, audio_format.frame_bytes) == (scale, frame_bytes)


@pytest.mark.parametrize(
    ("codec", "rate", "channels"), [("mp3", 16_000, 1), ("opus", 44_100, 1), ("opus", 16_000, 2)]
)
def test_only_what_is_built_can_be_a_format(codec, rate, channels):
    with pytest.raises(ValueError, match=codec):
        AudioFormat(codec, rate, channels)
