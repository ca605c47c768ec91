"""When memory is short, and who goes first: no server, no clock."""

from audiobus import Conversation
from audiobus.buffer_size import BufferSize
from pusher.pressure import BELOW, MEASURED_MS, MOST_HINTED, Pressure


def size(name: str, size_bytes: int, oldest_ms: int = 0, waiting_ms: int = 60_000) -> BufferSize:
    return BufferSize(Conversation("u", name), size_bytes, waiting_ms, oldest_ms)


def names(sizes) -> list[str]:
    return [one.conversation.cid for one in sizes]


def test_it_is_short_from_the_mark_on_until_well_below_it():
    pressure = Pressure(0.75)
    assert not pressure.short
    for share, short in (
        (0.74, False),
        (0.75, True),
        (0.74, True),
        (0.75 - BELOW - 0.001, False),
        (0.74, False),
    ):
        pressure.look(share)
        assert pressure.short is short, share
    pressure.look(0.8)
    pressure.look(None)
    assert (pressure.short, pressure.share) == (False, 0.0)


def test_the_largest_go_first_and_of_one_size_the_oldest():
    pressure = Pressure(0.75)
    pressure.look(0.8)
    sizes = [
        size("small", 9_000, 1),
        size("new", 70_000, 9),
        size("old", 66_000, 3),
        size("large", 300_000, 99),
    ]
    pressure.measured(sizes, 4_000, 0)
    assert names(pressure.next(0)) == ["large", "old", "new", "small"]
    assert pressure.next(0) == []


def test_what_has_too_little_audio_is_left_alone():
    pressure = Pressure(0.75)
    pressure.look(0.8)
    pressure.measured(
        [size("empty", 900_000, waiting_ms=3_999), size("some", 9_000, waiting_ms=4_000)], 4_000, 0
    )
    assert names(pressure.next(0)) == ["some"]


def test_no_more_are_hinted_at_than_the_pushers_follow():
    pressure = Pressure(0.75)
    pressure.look(0.8)
    pressure.measured([size(f"c{number}", 9_000, number) for number in range(600)], 4_000, 0)
    assert len(pressure.next(MOST_HINTED + 5)) == 0
    assert names(pressure.next(MOST_HINTED - 2)) == ["c0", "c1"]
    assert names(pressure.next(0))[0] == "c2"


def test_sizes_are_taken_again_when_they_are_old():
    pressure = Pressure(0.75)
    assert not pressure.wants_sizes(0)
    pressure.look(0.8)
    assert pressure.wants_sizes(0)
    pressure.measured([size("a", 9_000)], 4_000, 0)
    assert not pressure.wants_sizes(MEASURED_MS - 1)
    assert pressure.wants_sizes(MEASURED_MS)
    # An hour back: another clock.
    assert pressure.wants_sizes(-3_600_000)
    # Once there is room, nobody is hinted at any more.
    pressure.measured([size("a", 9_000)], 4_000, 1)
    pressure.look(0.5)
    assert pressure.next(0) == []


def test_buffers_are_not_measured_at_each_look_while_nothing_is_worth_storing():
    pressure = Pressure(0.75)
    now_ms = measured = 0
    for _ in range(30):
        pressure.look(0.8)
        if pressure.wants_sizes(now_ms):
            measured += 1
            pressure.measured([size("young", 9_000, waiting_ms=3_000)], 4_000, now_ms)
        assert pressure.next(0) == []
        now_ms += 2_000
    assert measured == 60_000 // MEASURED_MS


def test_only_servers_that_are_full_have_to_give():
    pressure = Pressure(0.75)
    assert [pressure.is_full(share) for share in (None, 0.5, 0.74, 0.9)] == [False, False, True, True]


def test_operators_are_told_in_steps():
    pressure = Pressure(0.75)
    assert pressure.report() is None
    told = []
    for share in (0.76, 0.77, 0.91, 0.92, 1.0, 1.01):
        pressure.look(share)
        told.append(pressure.report())
    assert len(set(told)) == 3
    assert "stored early" in told[0]
    assert "new sessions are refused" in told[2]
    assert "refuses writes" in told[5]
