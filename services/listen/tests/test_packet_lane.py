import pytest

from listen.audio_format import AudioFormat
from listen.chunker import Chunker
from listen.errors import BadAudioError
from listen.packet_lane import PacketLane
from listen.sample_clock import SampleClock


@pytest.mark.parametrize("data", [b"", b"\xff\xff\xff", bytes(61_441)])
def test_what_is_no_packet_is_refused(data):
    audio_format = AudioFormat("opus", 16_000)
    lane = PacketLane(audio_format, Chunker(audio_format, 1_000))
    with pytest.raises(BadAudioError):
        lane.measure(data)


def test_the_devices_lead_in_is_not_played(packets, now_ms):
    audio_format = AudioFormat("opus", 16_000, 1, 1_500)
    lane = PacketLane(audio_format, Chunker(audio_format, 1_000))
    clock = SampleClock(now_ms, 0)
    played = [
        lane.take(packet, lane.measure(packet), index + 1, clock, now_ms)
        for index, packet in enumerate(packets[:3])
    ]
    assert played == [0, 420, 960]
    assert lane.job(now_ms) is None
    assert not lane.idle
    assert lane.flush(3, now_ms, "nothing") == 3
    assert lane.idle
