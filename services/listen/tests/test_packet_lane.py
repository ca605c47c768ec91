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


def test_packets_taken_several_at_once_fill_their_chunks_as_they_would_one_by_one(packets, now_ms):
    audio_format = AudioFormat("opus", 16_000)
    chunker = Chunker(audio_format, 1_000)
    lane = PacketLane(audio_format, chunker)
    lane.take(packets[0], 960, len(packets[0]), SampleClock(now_ms, 0), now_ms)
    offset, waiting, since_ms = len(packets[0]), [], 0
    for at_ms in range(now_ms + 20, now_ms + 8_000, 20):
        since_ms = since_ms if waiting else at_ms
        waiting.append(packets[1])
        pulse = (at_ms - now_ms) % 100 == 40
        due = pulse and chunker.due_at_ms is not None and at_ms >= chunker.due_at_ms
        if len(waiting) == 23 or due:  # so that no chunk ends where a batch does
            lane.take_all(waiting, offset, since_ms, at_ms)
            offset, waiting = offset + len(waiting) * len(packets[1]), []
            chunker.tick(at_ms)
    assert [len(ready.chunk.packets) for ready in chunker.take()] == [50] * 7
