import pytest

from audiocodec.packet import packet_facts
from listen.audio_format import AudioFormat
from listen.encoding import SocketEncoder, to_s16le
from listen.encoding_job import EncodeJob


def test_unsigned_bytes_become_signed_words():
    assert to_s16le("pcm8", bytes([0, 128, 255])) == b"\x00\x80\x00\x00\x00\x7f"
    assert to_s16le("pcm16", b"ab") == b"ab"


@pytest.mark.parametrize(("codec", "rate"), [("pcm8", 8_000), ("pcm16", 16_000), ("pcm16", 48_000)])
def test_whole_frames_make_one_packet_each_and_a_flush_the_rest(codec, rate):
    audio_format = AudioFormat(codec, rate)
    encoder = SocketEncoder(audio_format, bitrate=24_000, complexity=0)
    first = encoder.run(EncodeJob(bytes(3 * audio_format.frame_bytes), fresh=True, flush=False))
    assert [packet_facts(packet).samples for packet in first.packets] == [960] * 3
    assert (first.trim, first.lookahead) == (0, 312)
    last = encoder.run(EncodeJob(bytes(audio_format.frame_bytes // 2), fresh=False, flush=True))
    assert len(last.packets) * 960 - last.trim == 480 + 312


def test_a_fresh_job_begins_a_new_encoder(second):
    audio_format = AudioFormat("pcm16", 16_000)
    encoder = SocketEncoder(audio_format, bitrate=24_000, complexity=0)
    job = EncodeJob(second[:6_400], fresh=True, flush=True)
    assert encoder.run(job) == encoder.run(job)
