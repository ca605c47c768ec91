import numpy as np

from audiocodec.resampler import resample
from listen.audio_format import AudioFormat
from listen.channel_input import ChannelInput
from listen.encoding_job import Place, Silence

BEGIN = Place(0, 0)


def given(*form) -> ChannelInput:
    made = ChannelInput(AudioFormat(*form))
    made.begin()
    return made


def samples(channel: ChannelInput) -> list[int]:
    return np.frombuffer(channel.take(channel.samples), "<i2").tolist()


def run(channel: ChannelInput, *operations) -> list[int]:
    for operation in operations:
        channel.do(operation)
    return samples(channel)


def words(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def test_unsigned_bytes_become_signed_words():
    assert run(given("pcm8", 8_000), BEGIN, bytes([0, 128, 255])) == [-32_768, 0, 32_512]


def test_what_is_stored_already_is_dropped():
    channel = given("pcm16", 16_000)
    assert run(channel, Place(-3, 0), words(1, 2)) == []
    assert run(channel, words(3, 4, 5)) == [4, 5]


def test_silence_fills_up_to_where_something_begins():
    channel = given("pcm16", 16_000)
    assert run(channel, BEGIN, words(1), Silence(3), Place(4, 5), words(6, 7, 8)) == [1, 0, 0, 0, 0, 7, 8]
    channel.end(9)
    assert samples(channel) == [0, 0]


def test_it_ends_at_exactly_the_sample_that_was_said():
    channel = given("pcm16", 16_000)
    channel.do(BEGIN)
    channel.do(words(1, 2, 3))
    channel.end(2)
    assert samples(channel) == [1, 2]
    channel.begin()
    assert run(channel, BEGIN, words(9)) == [9]


def test_what_plays_without_a_gap_is_resampled_as_one():
    pcm = (8_000 * np.sin(np.arange(4_410) / 20)).astype("<i2").tobytes()
    channel = given("pcm16", 44_100)
    channel.do(BEGIN)
    for at in range(0, len(pcm), 882):
        channel.do(pcm[at : at + 882])
    channel.end(4_800)
    assert channel.take(4_800) == resample(pcm, 44_100, 48_000)


def test_opus_is_decoded_at_the_encoders_rate(packets):
    channel = given("opus", 16_000, 2)
    channel.do(BEGIN)
    for packet in packets[:3]:
        channel.do(packet)
    assert (channel.samples, channel.spoiled) == (960, 0)


def test_aac_that_does_not_decode_is_counted_and_keeps_its_time(aac_messages):
    channel = given("aac", 16_000)
    channel.do(BEGIN)
    broken = aac_messages[1][:9] + bytes(len(aac_messages[1]) - 9)
    for message in (aac_messages[0], broken, aac_messages[2]):
        channel.do(message)
    assert channel.samples == 3 * 1_024
    assert channel.spoiled == 1
