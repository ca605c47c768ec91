import pytest

from listen.sample_clock import Lateness, SampleClock, mark_is_sane


def test_the_clock_is_the_runs_start_and_its_samples(now_ms):
    clock = SampleClock(now_ms, 48_000)
    assert clock.at_48k == (now_ms + 1_000) * 48
    assert clock.late_ms(now_ms + 1_500) == 500
    assert clock.late_ms(now_ms + 1_500, 480) == 490


@pytest.mark.parametrize(("at_ms", "jumps"), [(950, False), (1_050, False), (1_051, True)])
def test_only_what_is_well_ahead_moves_it(now_ms, at_ms, jumps):
    assert SampleClock(now_ms, 48_000).jumped_by(now_ms + at_ms) is jumps


@pytest.mark.parametrize(
    ("off_ms", "sane"),
    [(0, True), (60_000, True), (60_001, False), (-2_592_000_000, True), (-2_592_000_001, False)],
)
def test_a_mark_is_within_reason(now_ms, off_ms, sane):
    assert mark_is_sane(now_ms + off_ms, now_ms) is sane


def test_lateness_keeps_the_smallest_and_decides_after_two_seconds(now_ms):
    lateness = Lateness(now_ms, 5_000)
    lateness.hear(4_000)
    lateness.hear(6_000)
    assert lateness.smallest_ms == 4_000
    assert not lateness.decided(now_ms + 1_999)
    assert lateness.decided(now_ms + 2_000)
