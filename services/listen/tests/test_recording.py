"""Time: marks, runs and lateness, as the page says."""

import pytest

from audiobus import Lag, Position
from listen.audio_format import AudioFormat
from listen.errors import BadAudioError
from listen.recording import Recording

PCM8 = AudioFormat("pcm8", 8_000)
OPUS = AudioFormat("opus", 16_000)


def plain() -> Recording:
    """20 ms are 160 bytes."""
    return Recording(PCM8, dialect="plain", chunk_ms=1_000)


def runs(recording: Recording, now_ms: int) -> list[tuple[int, int]]:
    """Start and ms of what has been taken, run by run, as jobs would be made of it."""
    recording.flush(now_ms, "nothing")
    found: dict[int, int] = {}
    for stretch in recording._lane._stretches:
        found[stretch.run_start_ms] = found.get(stretch.run_start_ms, 0) + len(stretch.feeds[0].pcm) // 8
    return list(found.items())


def stream(recording: Recording, start_ms: int, ms: int, *, every_ms: int = 20) -> int:
    """Audio that arrives in 20 ms messages; answers when it ends."""
    for index in range(ms // 20):
        recording.take(bytes([128]) * 160, start_ms + index * every_ms + 20)
        recording.tick(start_ms + index * every_ms + 20)
    return start_ms + ms // 20 * every_ms


def test_how_much_audio_lost_bytes_were_is_told_by_the_average(now_ms):
    recording = plain()
    assert recording.about_samples(0) == 0
    recording.take(bytes(1_600), now_ms)
    assert recording.about_samples(800) == 4_800


def test_the_first_sample_came_its_own_duration_before_its_message(now_ms):
    recording = plain()
    recording.take(bytes(1_600), now_ms)
    assert runs(recording, now_ms) == [(now_ms - 200, 200)]


def test_a_mark_says_when_the_first_sample_was(now_ms):
    recording = plain()
    assert recording.mark(now_ms - 60_000, now_ms) is None
    recording.take(bytes(1_600), now_ms)
    assert runs(recording, now_ms) == [(now_ms - 60_000, 200)]


@pytest.mark.parametrize(
    ("ahead_ms", "begins"), [(-5_000, False), (0, False), (50, False), (51, True), (60_000, True)]
)
def test_in_v1_a_mark_well_ahead_of_the_clock_begins_a_run(now_ms, ahead_ms, begins):
    recording = Recording(PCM8, dialect="v1", chunk_ms=1_000)
    recording.mark(now_ms, now_ms)
    recording.take(bytes(8_000), now_ms)
    assert recording.mark(now_ms + 1_000 + ahead_ms, now_ms + 1_000) is None
    recording.take(bytes(800), now_ms)
    expected = [(now_ms, 1_000), (now_ms + 1_000 + ahead_ms, 100)] if begins else [(now_ms, 1_100)]
    assert runs(recording, now_ms) == expected


@pytest.mark.parametrize("off_ms", [-30 * 24 * 3_600_000 - 1, 60_001])
def test_a_mark_out_of_reason_is_refused(now_ms, off_ms):
    recording = plain()
    assert recording.mark(now_ms + off_ms, now_ms) is not None
    recording.take(bytes(80), now_ms)
    assert runs(recording, now_ms)[0][0] == now_ms - 10


def test_a_mark_in_the_middle_of_a_sample_is_refused(now_ms):
    recording = Recording(AudioFormat("pcm16", 16_000), dialect="v1", chunk_ms=1_000)
    recording.take(bytes(3), now_ms)
    assert recording.mark(now_ms + 1_000, now_ms) is not None
    recording.take(bytes(1), now_ms)
    assert recording.mark(now_ms + 1_000, now_ms) is None


def test_a_resumed_session_goes_on_in_its_run(now_ms):
    recording = Recording(
        PCM8, dialect="v1", chunk_ms=1_000, offset=8_000, position=Position(now_ms - 1_000, 48_000)
    )
    recording.take(bytes(80), now_ms + 5_000)
    assert recording.taken == 8_080
    stretch = recording._lane._stretches[0]
    assert (stretch.run_start_ms, stretch.first_sample, stretch.ledger.offset) == (
        now_ms - 1_000,
        48_000,
        8_000,
    )


def test_plain_audio_that_comes_late_for_good_begins_a_run_with_the_first_late_byte(now_ms):
    recording = plain()
    end = stream(recording, now_ms, 3_000)
    stream(recording, end + 5_000, 4_000)
    assert runs(recording, now_ms + 20_000) == [(now_ms, 3_000), (now_ms + 8_000, 4_000)]


def test_a_stall_with_a_burst_after_it_is_no_gap(now_ms):
    recording = plain()
    end = stream(recording, now_ms, 3_000)
    stream(recording, end + 4_900, 5_000, every_ms=1)
    assert runs(recording, now_ms + 20_000) == [(now_ms, 8_000)]


def test_a_stall_that_is_made_up_for_within_two_seconds_is_no_gap(now_ms):
    recording = plain()
    end = stream(recording, now_ms, 3_000)
    stream(recording, end + 1_500, 3_000, every_ms=5)
    assert runs(recording, now_ms + 20_000) == [(now_ms, 6_000)]


def test_plain_audio_that_comes_early_never_moves_the_clock(now_ms):
    recording = plain()
    stream(recording, now_ms, 5_000, every_ms=1)
    stream(recording, now_ms + 300, 5_000, every_ms=20)
    assert runs(recording, now_ms + 20_000) == [(now_ms, 10_000)]


def test_late_audio_that_is_followed_by_nothing_begins_a_run_when_two_seconds_are_over(now_ms):
    recording = plain()
    end = stream(recording, now_ms, 3_000)
    stream(recording, end + 5_000, 500)
    assert recording.held_bytes == 4_000
    recording.tick(end + 7_100)
    assert recording.held_bytes == 0
    assert runs(recording, now_ms + 20_000) == [(now_ms, 3_000), (now_ms + 8_000, 500)]


def test_in_plain_a_mark_in_mid_stream_is_nothing(now_ms):
    recording = plain()
    end = stream(recording, now_ms, 1_000)
    assert recording.mark(end + 30_000, end) is None
    stream(recording, end, 1_000)
    assert runs(recording, end) == [(now_ms, 2_000)]


def test_a_packet_that_is_none_counts_and_is_left_out(now_ms, packets):
    recording = Recording(OPUS, dialect="v1", chunk_ms=1_000)
    recording.take(packets[0], now_ms)
    with pytest.raises(BadAudioError):
        recording.take(b"\xff\xff\xff", now_ms)
    recording.take(packets[1], now_ms)
    covered = recording.flush(now_ms, "nothing")
    (ready,) = recording.chunks()
    assert covered == ready.end_offset == len(packets[0]) + 3 + len(packets[1])
    assert ready.chunk.packets == (packets[0], packets[1])
    assert ready.chunk.samples == 2 * 960 - 312


def test_compressed_audio_that_resumes_has_no_lead(now_ms, packets):
    recording = Recording(
        OPUS, dialect="v1", chunk_ms=1_000, offset=100, position=Position(now_ms - 1_000, 47_688)
    )
    recording.take(packets[7], now_ms)
    recording.flush(now_ms, "more")
    (ready,) = recording.chunks()
    assert (ready.chunk.lead, ready.chunk.starts, ready.chunk.first_sample) == (0, False, 47_688)
    assert ready.chunk.first_offset == 100


def test_compressed_audio_after_a_hole_drops_what_belongs_before_it(now_ms, packets):
    recording = Recording(OPUS, dialect="v1", chunk_ms=1_000)
    recording.mark(now_ms, now_ms)
    recording.take(packets[0], now_ms)
    recording.mark(now_ms + 10_000, now_ms + 10_000)
    recording.take(packets[1], now_ms)
    recording.flush(now_ms, "more")
    first, second = recording.chunks()
    assert (first.chunk.run_start_ms, first.chunk.lead, first.chunk.starts) == (now_ms, 312, True)
    assert (second.chunk.run_start_ms, second.chunk.first_sample) == (now_ms + 10_000, 0)
    assert (second.chunk.lead, second.chunk.starts) == (312, False)


def two(recording: Recording, start_ms: int, ms: int, *, every_ms: int = 20) -> int:
    """As `stream`, on both channels."""
    for index in range(ms // 20):
        for channel in (b"\x01", b"\x02"):
            recording.take(channel + bytes([128]) * 160, start_ms + index * every_ms + 20)
        recording.tick(start_ms + index * every_ms + 20)
    return start_ms + ms // 20 * every_ms


def test_late_audio_of_two_channels_is_late_once(now_ms):
    recording = Recording(AudioFormat("pcm8", 8_000, 2), dialect="plain", chunk_ms=1_000)
    end = two(recording, now_ms, 3_000)
    two(recording, end + 5_000, 500)
    assert (recording.held_bytes, recording.held_samples) == (8_000, 24_000)
    two(recording, end + 5_500, 3_500)
    assert recording.held_bytes == 0
    assert runs(recording, now_ms + 20_000) == [(now_ms, 3_000), (now_ms + 8_000, 4_000)]


def test_a_burst_of_two_channels_after_a_stall_is_no_gap(now_ms):
    recording = Recording(AudioFormat("pcm8", 8_000, 2), dialect="plain", chunk_ms=1_000)
    end = two(recording, now_ms, 3_000)
    two(recording, end + 4_900, 5_000, every_ms=1)
    assert runs(recording, now_ms + 20_000) == [(now_ms, 8_000)]


def test_what_a_resuming_client_sends_again_is_not_taken_twice(now_ms, packets):
    position = Position(now_ms, 48_000, (Lag(20 * 960 * 48_000), Lag(16 * 960 * 48_000)))
    recording = Recording(
        AudioFormat("opus", 16_000, 2), dialect="v1", chunk_ms=1_000, offset=100, position=position
    )
    assert recording.samples == -16 * 960
    for packet in packets[:16]:
        recording.take(b"\x02" + packet, now_ms)
    assert recording.samples == 0
