import pytest

from audiocodec.packet import packet_facts
from listen.audio_format import AudioFormat
from listen.encoding import SocketEncoder
from listen.encoding_job import EncodeJob, Place

BEGIN = Place(0, 0)


def encoder(*form) -> SocketEncoder:
    return SocketEncoder(AudioFormat(*form), bitrate=24_000, complexity=0)


@pytest.mark.parametrize(("codec", "rate"), [("pcm8", 8_000), ("pcm16", 16_000), ("pcm16", 48_000)])
def test_whole_frames_make_one_packet_each_and_the_end_the_rest(codec, rate):
    frame = rate // 50
    frame_bytes = frame * AudioFormat(codec, rate).sample_bytes
    makes = encoder(codec, rate)
    first = makes.run(EncodeJob(((BEGIN, bytes(3 * frame_bytes)),), fresh=True))
    assert [packet_facts(packet).samples for packet in first.packets] == [960] * 3
    assert (first.trim, first.lookahead, first.spoiled) == (0, 312, 0)
    last = makes.run(EncodeJob(((bytes(frame_bytes // 2),),), fresh=False, end=7 * frame // 2))
    assert len(last.packets) * 960 - last.trim == 480 + 312


def test_a_fresh_job_begins_a_new_encoder(second):
    makes = encoder("pcm16", 16_000)
    job = EncodeJob(((BEGIN, second[:6_400]),), fresh=True, end=3_200)
    assert makes.run(job) == makes.run(job)


def test_nothing_to_encode_makes_no_packet():
    assert encoder("pcm16", 16_000).run(EncodeJob(((),), fresh=True, end=0)).packets == ()


def test_what_one_channel_is_ahead_waits_for_the_other(second):
    makes = encoder("pcm16", 16_000, 2)
    first = makes.run(EncodeJob(((BEGIN, second), (BEGIN, second[:6_400])), fresh=True))
    assert len(first.packets) == 10
    assert all(packet_facts(packet).samples == 960 for packet in first.packets)
    then = makes.run(EncodeJob(((), (second[6_400:],)), fresh=False))
    assert len(then.packets) == 40
