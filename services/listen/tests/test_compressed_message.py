import pytest

from listen.audio_format import AudioFormat
from listen.compressed_message import opus_samples, read_message
from listen.errors import BadAudioError, WrongRateError
from tapedeck_testing.bloated import bloated


@pytest.mark.parametrize(
    ("sample_rate", "samples", "warm_up"), [(16_000, 2_048, 1_024), (32_000, 4_096, 2_048)]
)
def test_aac_lasts_what_its_frames_last_at_the_rate_it_is_played_at(
    aac_messages, sample_rate, samples, warm_up
):
    message = read_message(AudioFormat("aac", sample_rate), aac_messages[3] + aac_messages[4])
    assert (message.samples, message.warm_up) == (samples, warm_up)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000])
def test_aac_of_another_rate_is_not_taken(aac_messages, sample_rate):
    with pytest.raises(WrongRateError, match="16000"):
        read_message(AudioFormat("aac", sample_rate), aac_messages[3])


@pytest.mark.parametrize("payload", [b"", b"\xff\xf1", b"abc"])
def test_what_is_no_adts_is_bad_audio(payload):
    with pytest.raises(BadAudioError, match="ADTS"):
        read_message(AudioFormat("aac", 16_000), payload)


def test_opus_counts_at_48_khz(packets):
    message = read_message(AudioFormat("opus", 16_000, 2), packets[0])
    assert (message.samples, message.warm_up) == (960, 15_360)


@pytest.mark.parametrize("payload", [b"", b"\xff\xff\xff", bytes(61_441)])
def test_what_is_no_packet_is_bad_audio(payload):
    with pytest.raises(BadAudioError):
        opus_samples(payload)


def test_a_packet_with_some_padding_is_taken(packets):
    assert opus_samples(bloated(packets[0], 1_279)) == 960


@pytest.mark.parametrize("size", [1_280, 61_400])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_packet_of_more_bytes_than_its_frame_can_have_is_bad_audio(packets, size, channels):
    packet = bloated(packets[0], size)
    assert len(packet) == size
    with pytest.raises(BadAudioError, match=f"{size} bytes in 1 frames.*padding"):
        read_message(AudioFormat("opus", 16_000, channels), packet)
