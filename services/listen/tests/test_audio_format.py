import pytest

from listen.audio_format import SOURCE_SAMPLE_TICKS, AudioFormat


@pytest.mark.parametrize(
    ("codec", "rate", "source_rate", "encoder_rate"),
    [
        ("pcm8", 8_000, 8_000, 8_000),
        ("pcm16", 8_001, 8_001, 12_000),
        ("pcm16", 44_100, 44_100, 48_000),
        ("aac", 22_050, 22_050, 24_000),
        ("opus", 16_000, 48_000, 16_000),
        ("opus_fs320", 44_100, 48_000, 48_000),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_all_samples_are_whole_numbers_of_ticks(codec, rate, source_rate, encoder_rate, channels):
    audio_format = AudioFormat(codec, rate, channels)
    assert (audio_format.source_rate, audio_format.encoder_rate) == (source_rate, encoder_rate)
    second = 48_000 * source_rate
    assert SOURCE_SAMPLE_TICKS * source_rate == second
    assert audio_format.step_ticks * encoder_rate == second
    assert audio_format.tag_bytes == channels - 1


def test_only_mono_opus_is_kept_as_it_came():
    kept = [
        (codec, channels)
        for codec in ("pcm8", "pcm16", "opus", "opus_fs320", "aac")
        for channels in (1, 2)
        if AudioFormat(codec, 44_100, channels).is_kept
    ]
    assert kept == [("opus", 1), ("opus_fs320", 1)]


@pytest.mark.parametrize(
    ("codec", "rate", "channels"),
    [("mp3", 16_000, 1), ("opus", 7_999, 1), ("pcm8", 48_001, 1), ("aac", 48_000, 3)],
)
def test_only_what_can_be_recorded_is_a_format(codec, rate, channels):
    with pytest.raises(ValueError, match=codec):
        AudioFormat(codec, rate, channels)
