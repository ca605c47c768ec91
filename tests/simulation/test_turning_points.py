"""Where a pusher is stopped in the middle of its work."""

import asyncio

import pytest

from audiobus.script import script
from tapedeck_testing.simulation.chance import Chance
from tapedeck_testing.simulation.turning_points import LEFT, TURN, Stop, stop_before, stops
from tapedeck_testing.simulation.virtual_loop import Process


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("cut", Stop.BEFORE),
        ("finish", Stop.BEFORE),
        ("bury", Stop.AFTER),
        ("uncut", Stop.AFTER),
        ("look", None),
    ],
)
def test_it_is_stopped_before_what_rests_on_a_look_and_after_what_takes_away(name, when):
    command = ("EVALSHA", script(name).digest, 1, "td:conv:{u/c}")
    assert stops(Chance(1, {TURN: 1.0}), command) is when
    assert stops(Chance(1, []), command) is None
    assert stops(Chance(1, {TURN: 1.0}), ("TIME",)) is None


def test_a_few_are_left_for_when_all_else_has_ended():
    chance = Chance(1, {TURN: 1.0})
    command = ("EVALSHA", script("cut").digest)
    chance.calm()
    assert [stops(chance, command) for _ in range(LEFT + 1)] == [Stop.BEFORE] * LEFT + [None]


async def test_whoever_is_stopped_gives_way_before_it_goes_on():
    harmed, happened = [], []
    process = Process("pusher0")
    asyncio.get_running_loop().call_soon(happened.append, "others")
    await stop_before(process, lambda *what: harmed.append(what))
    assert harmed == [(process, TURN)]
    assert happened == ["others"]
