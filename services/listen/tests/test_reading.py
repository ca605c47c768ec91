"""When a connection is read: what its wire wants, and what it may take of the process, at once."""

import asyncio

import pytest

from listen.floods import REST_TIMES, Floods
from listen.reading import AT_ONCE_S, FRAME_MOST_S, LEAST_BYTES, READ_BYTES, Reading

MANY = 1_000


class Transport:
    """What is told to go on or to stop."""

    def __init__(self) -> None:
        self.reading = False
        self.closing = False
        self.calls = 0

    def pause_reading(self) -> None:
        assert not self.closing
        self.reading = False
        self.calls += 1

    def resume_reading(self) -> None:
        assert not self.closing
        self.reading = True
        self.calls += 1

    def is_closing(self) -> bool:
        return self.closing


async def until(holds) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.001)


@pytest.fixture
def floods() -> Floods:
    return Floods()


@pytest.fixture
async def flood(floods):
    transport = Transport()
    reading = Reading(transport, floods)
    reading.resume()
    yield reading, transport
    await until(lambda: floods.resting == 0)


async def test_who_has_the_process_work_for_long_rests_and_goes_on(floods, flood):
    reading, transport = flood
    reading.charge(2_000, MANY, 1.0, 1.0 + AT_ONCE_S / 2)
    assert transport.reading
    reading.charge(2_000, MANY, 1.0 + AT_ONCE_S / 2, 1.0 + AT_ONCE_S * 1.1)
    assert not transport.reading
    assert floods.resting == 1
    await until(lambda: transport.reading)


async def test_each_pause_is_counted():
    began = []
    floods = Floods(lambda: began.append(1))
    transport = Transport()
    reading = Reading(transport, floods)
    reading.resume()
    for second in (1.0, 2.0):
        reading.charge(2_000, MANY, second, second + AT_ONCE_S * 2)
        assert floods.resting == 1
        await until(lambda: transport.reading)
    assert len(began) == 2


async def test_time_makes_good_what_was_taken(flood):
    reading, transport = flood
    for turn in range(20):
        began_s = 1.0 + turn * AT_ONCE_S * (REST_TIMES + 1)
        reading.charge(2_000, MANY, began_s, began_s + AT_ONCE_S * 0.99)
    assert transport.reading
    assert transport.calls == 1


async def test_one_frame_counts_for_no_more_than_it_can_be(flood):
    reading, transport = flood
    reading.charge(2_000, 1, 1.0, 2.0)
    assert transport.reading
    reading.charge(2_000, int(2 * AT_ONCE_S / FRAME_MOST_S), 2.0, 3.0)
    assert not transport.reading


async def test_the_reads_of_a_flood_grow_smaller_and_slowly_larger_again(flood):
    reading, transport = flood
    assert reading.most_bytes == READ_BYTES
    reading.charge(READ_BYTES, MANY, 1.0, 1.0 + AT_ONCE_S * 4)
    assert reading.most_bytes == pytest.approx(READ_BYTES / 4, abs=1)
    await until(lambda: transport.reading)
    reading.charge(READ_BYTES // 4, MANY, 2.0, 2.0 + AT_ONCE_S * 50)
    assert reading.most_bytes == LEAST_BYTES
    for second in range(3, 200):
        reading.charge(LEAST_BYTES, 1, second, second + 0.0001)
    assert reading.most_bytes == READ_BYTES


async def test_a_rest_does_not_read_what_the_wire_does_not_want(floods, flood):
    reading, transport = flood
    reading.charge(2_000, MANY, 1.0, 1.0 + AT_ONCE_S * 2)
    reading.pause()
    await until(lambda: floods.resting == 0)
    assert not transport.reading
    reading.resume()
    assert transport.reading


async def test_a_wire_that_wants_more_waits_for_the_rest_to_end(floods, flood):
    reading, transport = flood
    reading.pause()
    reading.charge(2_000, MANY, 1.0, 1.0 + AT_ONCE_S * 2)
    reading.resume()
    assert not transport.reading
    await until(lambda: transport.reading)
    assert floods.resting == 0


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_a_connection_that_is_closing_is_left_alone(floods, flood, when):
    reading, transport = flood
    transport.closing = when == "before"
    reading.charge(2_000, MANY, 1.0, 1.0 + AT_ONCE_S * 2)
    transport.closing = True
    await until(lambda: floods.resting == 0)
    assert transport.calls == (1 if when == "before" else 2)


async def test_a_connection_that_is_closing_leaves_its_turn_to_the_next(floods, flood):
    reading, transport = flood
    gone = Transport()
    leaving = Reading(gone, floods)
    leaving.resume()
    leaving.charge(2_000, MANY, 1.0, 1.0 + AT_ONCE_S * 2)
    reading.charge(2_000, MANY, 1.0, 1.0 + AT_ONCE_S * 2)
    gone.closing = True
    assert not leaving.rested()
    await until(lambda: transport.reading)
    assert not gone.reading
