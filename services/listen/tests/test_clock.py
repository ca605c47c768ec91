"""The clock of a process."""

from listen.clock import SteadyClock

SECOND = 1_000_000_000


class Clocks:
    """A wall clock that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.wall_ns = 1_732_147_200 * SECOND
        self.passed_ns = 5 * SECOND

    def time_ns(self) -> int:
        return self.wall_ns

    def monotonic_ns(self) -> int:
        return self.passed_ns

    def pass_by(self, seconds: float) -> None:
        self.wall_ns += int(seconds * SECOND)
        self.passed_ns += int(seconds * SECOND)


def test_it_is_the_wall_clock():
    clocks = Clocks()
    clock = SteadyClock(clocks)
    for _ in range(50):
        clocks.pass_by(0.1)
        assert clock.now_ms() == clocks.wall_ns // 1_000_000


def test_it_follows_a_clock_that_is_set_ahead():
    clocks = Clocks()
    clock = SteadyClock(clocks)
    clocks.wall_ns += 3600 * SECOND
    assert clock.now_ms() == clocks.wall_ns // 1_000_000


def test_a_clock_that_is_set_back_makes_it_slower_until_both_agree():
    clocks = Clocks()
    clock = SteadyClock(clocks)
    before_ms = clock.now_ms()
    clocks.wall_ns -= 2 * SECOND
    for second in range(1, 4):
        clocks.pass_by(1)
        assert clock.now_ms() == before_ms + 500 * second
    for _ in range(10):
        clocks.pass_by(1)
        assert clock.now_ms() == clocks.wall_ns // 1_000_000


def test_a_clock_that_stood_far_ahead_is_followed_at_once():
    clocks = Clocks()
    clock = SteadyClock(clocks)
    clocks.wall_ns -= 3600 * SECOND
    clocks.pass_by(1)
    assert clock.now_ms() == clocks.wall_ns // 1_000_000


def test_it_never_goes_back_however_often_it_is_asked():
    clocks = Clocks()
    clock = SteadyClock(clocks)
    told = [clock.now_ms()]
    clocks.wall_ns -= SECOND
    for _ in range(3_000):
        clocks.pass_by(0.000_001)
        told.append(clock.now_ms())
    assert told == sorted(told)
    clocks.pass_by(1)
    assert clock.now_ms() >= told[0] + 500
