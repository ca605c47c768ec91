"""Two channels, aligned by their sample clocks. Ticks are milliseconds here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listen.alignment import Alignment
from listen.channel import Channel


class Pair:
    """Near and far, as a lane uses them."""

    def __init__(self, skip: int = 0) -> None:
        self.channels = [Channel(skip), Channel(skip)]
        self.alignment = Alignment(self.channels, 1)
        self.now_ms = 1_000_000
        self.places: list[tuple[int, int]] = []
        """Where each message began: channel, position."""

    def say(self, number: int, ms: int) -> int:
        channel = self.channels[number]
        if not channel.joined:
            self.alignment.place(channel, ms, self.now_ms)
        start = channel.end
        channel.end += ms
        self.alignment.heard(channel, self.now_ms, ms)
        self.alignment.fill(self.now_ms)
        self.places.append((number, start))
        return start

    def wait(self, ms: int) -> None:
        for _ in range(0, ms, 100):
            self.now_ms += min(100, ms)
            self.alignment.fill(self.now_ms)

    @property
    def standing(self) -> list[int]:
        return [channel.standing for channel in self.channels]


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_both_begin_with_the_run(pair):
    assert [pair.say(0, 20), pair.say(1, 20), pair.say(1, 20), pair.say(0, 20)] == [0, 0, 20, 20]


@pytest.mark.parametrize("ms", [20, 1_000, 4_000])
def test_messages_of_any_length_that_alternate_are_never_filled(pair, ms):
    for index in range(10):
        assert pair.say(0, ms) == index * ms
        assert pair.say(1, ms) == index * ms
        pair.wait(ms)


def test_seconds_that_come_in_turn_are_never_filled(pair):
    for index in range(10):
        pair.say(0, 1_000)
        pair.wait(500)
        assert pair.say(1, 1_000) == index * 1_000
        pair.wait(500)


def test_what_comes_in_a_burst_begins_with_the_run_whatever_its_order(pair):
    for _ in range(50):
        pair.say(0, 20)
    assert pair.say(1, 30) == 0
    assert pair.say(1, 30) == 30


def test_a_channel_that_joins_late_is_placed_by_the_clock_of_the_other(pair):
    for _ in range(8):
        pair.say(0, 20)
        pair.wait(20)
    assert pair.say(1, 20) == 160


@pytest.mark.parametrize("ms", [20, 100, 1_000])
@pytest.mark.parametrize("spoke", [True, False])
def test_a_silence_in_a_burst_is_told_by_what_the_other_channel_sent(pair, ms, spoke):
    if spoke:
        pair.say(0, ms)
        pair.say(1, ms)
    for _ in range(5_000 // ms):
        pair.say(0, ms)
    assert pair.standing[1] >= pair.standing[0] - 1_200 - 2 * ms
    for _ in range(50):
        pair.say(0, ms)
        pair.say(1, ms)
        assert pair.standing[0] == pair.standing[1]
    pair.wait(ms)
    for _ in range(50):
        assert pair.say(0, ms) == pair.say(1, ms)
        pair.wait(ms)


@pytest.mark.parametrize("ms", [20, 100, 1_000])
def test_blocks_of_a_second_in_a_burst_are_no_silence(pair, ms):
    for block in range(10):
        for number in (0, 1):
            for at in range(0, 1_000, ms):
                assert pair.say(number, ms) == 1_000 * block + at


@pytest.mark.parametrize("ms", [20, 100])
@pytest.mark.parametrize("seconds", [8, 16, 64])
def test_channels_that_take_turns_lose_nothing(pair, ms, seconds):
    for second in range(seconds):
        for _ in range(0, 1_000, ms):
            pair.now_ms += ms
            pair.say(second % 2, ms)
    assert abs(max(pair.standing) - 1_000 * seconds) <= ms


@pytest.mark.parametrize("ms", [20, 100, 1_000])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("apart_ms", [0, 3, 9])
def test_who_speaks_again_while_the_other_one_goes_on_is_aligned_with_it(pair, ms, first, apart_ms):
    pair.say(0, ms)
    pair.say(1, ms)
    for _ in range(5_000 // ms):
        pair.now_ms += ms
        pair.say(0, ms)
    for _ in range(50):
        pair.now_ms += ms - apart_ms
        start = pair.say(first, ms)
        pair.now_ms += apart_ms
        assert pair.say(1 - first, ms) == start


def test_a_stall_with_a_burst_after_it_changes_nothing(pair):
    for index in range(50):
        assert [pair.say(0, 20), pair.say(1, 20)] == [20 * index] * 2
        pair.wait(20)
    pair.wait(5_000)
    for index in range(50, 300):
        assert [pair.say(0, 20), pair.say(1, 20)] == [20 * index] * 2


@pytest.mark.parametrize("first", [0, 1])
def test_a_stall_between_the_two_messages_of_a_pair_changes_nothing(pair, first):
    for index in range(50):
        assert pair.say(first, 20) == 20 * index
        if index == 30:
            pair.wait(5_000)
            assert pair.alignment.waiting
        assert pair.say(1 - first, 20) == 20 * index
        assert not pair.alignment.waiting
        pair.wait(20)


def test_a_channel_that_says_nothing_more_is_filled_200_ms_later(pair):
    pair.say(0, 20)
    pair.say(1, 20)
    for _ in range(11):
        pair.wait(20)
        pair.say(0, 20)
    assert pair.standing == [240, 20]
    for _ in range(50):
        pair.wait(20)
        pair.say(0, 20)
        assert pair.standing[0] - pair.standing[1] <= 260
    assert pair.standing[1] > 1_000


def test_a_channel_that_never_spoke_is_silent(pair):
    for _ in range(100):
        pair.say(0, 20)
        pair.wait(20)
    assert pair.standing == [2_000, 1_820]
    assert not pair.channels[1].joined


def test_a_channel_that_speaks_again_is_placed_by_the_clock_of_the_other(pair):
    pair.say(0, 20)
    pair.say(1, 20)
    for _ in range(100):
        pair.wait(20)
        pair.say(0, 20)
    assert pair.standing[0] == 2_020
    assert pair.say(1, 20) == 2_000
    assert pair.say(1, 20) == 2_020


def test_it_is_never_placed_within_what_was_filled(pair):
    for _ in range(100):
        pair.say(0, 20)
        pair.wait(20)
    assert pair.standing == [2_000, 1_820]
    assert pair.say(1, 1_000) == 1_820


def test_its_lead_in_is_not_played_and_lies_where_the_other_one_ends():
    pair = Pair(skip=64)
    assert pair.say(0, 64) == -64
    for _ in range(50):
        pair.say(0, 64)
        pair.wait(64)
    assert pair.channels[0].end == 50 * 64
    assert pair.say(0, 64) == pair.say(1, 64) == 50 * 64
    assert pair.channels[1].plays_from == 51 * 64


def test_nobody_is_filled_while_both_are_silent(pair):
    pair.say(0, 20)
    pair.say(1, 20)
    pair.wait(10_000)
    assert pair.standing == [20, 20]
    assert all(channel.joined for channel in pair.channels)


def test_a_channel_may_be_8_s_ahead_and_not_more(pair):
    pair.say(1, 20)
    pair.say(0, 7_900)
    assert pair.channels[1].joined
    pair.say(0, 200)
    assert pair.standing == [8_100, 8_100]
    assert not pair.channels[1].joined


def test_a_slow_clock_is_no_silence(pair):
    for _ in range(500):
        pair.say(0, 20)
        pair.say(1, 19)
        pair.wait(20)
    assert pair.standing == [10_000, 9_500]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3_000), st.integers(0, 1_000)), max_size=40))
def test_nothing_taken_is_dropped_and_no_channel_goes_back(steps):
    pair = Pair()
    ends = [0, 0]
    for number, ms, pause_ms in steps:
        pair.wait(pause_ms)
        before = pair.standing
        start = pair.say(number, ms)
        assert start >= max(ends[number], before[number])
        ends[number] = start + ms
        assert max(pair.standing) - min(pair.standing) <= 8_000 + ms
        if pair.channels[number].joined:
            assert pair.standing[number] == ends[number]
