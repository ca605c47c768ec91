import pytest

from audiocodec import Decoder
from audiocodec.packet import packet_facts
from tapedeck_testing.faults.numbered import number_of, numbered, padded
from tapedeck_testing.faults.tape import RATE, speech
from tapedeck_testing.recordings import opus_packets


@pytest.mark.parametrize("frame_ms", [20, 60, 100, 120])
def test_a_numbered_packet_is_opus_with_the_same_sound(frame_ms):
    plain, marked = Decoder(RATE, 1), Decoder(RATE, 1)
    packets = opus_packets(2.4, seed=3)
    together = frame_ms // 20
    for index in range(0, len(packets), together):
        one = packets[index : index + together]
        packet = numbered(padded(one), 4_000_000_000, index)
        assert packet_facts(packet).samples == frame_ms * 48
        assert number_of(packet) == (4_000_000_000, index)
        assert marked.decode(packet) == b"".join(plain.decode(frame) for frame in one)


def test_the_speech_has_the_length_that_it_says():
    sound = speech(60, seconds=6)
    assert len(sound.packets) == 100
    assert len(sound.pcm) == 6 * RATE * 2
