"""Two listen processes on one port, restarted one after the other under load: nobody loses anything, nobody comes back at once."""

import asyncio
import os
import signal

import psutil

from audiobus import Bus
from tapedeck_testing.books import books_close
from tapedeck_testing.faults.fleet import Fleet
from tapedeck_testing.faults.report import Options, Outcome
from tapedeck_testing.faults.rig import Rig
from tapedeck_testing.faults.soak import judge, load_specs, settle_all

SOCKETS = 100
DRAIN_S = 8


def lines_of(pid, port):
    """How many clients a process has."""
    return sum(
        one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
        for one in psutil.Process(pid).net_connections("tcp")
    )


def listens(pid, port):
    return any(
        one.status == psutil.CONN_LISTEN and one.laddr.port == port
        for one in psutil.Process(pid).net_connections("tcp")
    )


async def until(condition, within_s):
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.05)


async def until_all_record(fleet):
    async with asyncio.timeout(60):
        while await fleet.recording() < SOCKETS:
            await asyncio.sleep(0.1)


async def test_a_rolling_restart_loses_nothing_and_spreads_the_reconnects(tmp_path):
    options = Options(seconds=60, sockets=SOCKETS, seed=6, batch_seconds=5)
    rig = Rig(tmp_path, environ={"TAPEDECK_DRAIN_SECONDS": str(DRAIN_S), "TAPEDECK_BATCH_SECONDS": "5"})
    outcome = Outcome(options)
    neighbours = []

    async def restart(fleet):
        port = rig.address[1]
        for old in rig.stack.pids("listen"):
            await until_all_record(fleet)
            [other] = [pid for pid in rig.stack.pids("listen") if pid != old]
            had, neighbour_had = lines_of(old, port), lines_of(other, port)
            os.kill(old, signal.SIGTERM)
            # It has no longer than the drain time; the replacement is started as soon as it has ended.
            await until(lambda old=old: old not in rig.stack.pids("listen"), DRAIN_S + 30)
            # The neighbour takes them: those who were told to come back last only after the old process has ended.
            await until(lambda other=other, had=neighbour_had: lines_of(other, port) > had, 60)
            neighbours.append((had, neighbour_had, lines_of(other, port)))
            await until(lambda: len(rig.stack.pids("listen")) == 2, 60)
            await until(lambda: all(listens(pid, port) for pid in rig.stack.pids("listen")), 60)
        await until_all_record(fleet)
        await fleet.ask("end 1")

    try:
        await rig.start()
        specs = load_specs(rig.stack, rig.address, options)
        seen = await Fleet(specs, tmp_path).run(restart)
        await settle_all(rig, [device for spec in specs for device in spec.devices])
        await judge(rig, outcome, specs, seen)
        async with Bus(rig.redis.url) as bus:
            await books_close(bus, stored=True)
    finally:
        await rig.stop()

    assert not outcome.wrong, outcome.table()
    told = [ms for one in seen.values() for ms in one.told_ms]
    assert len(told) >= sum(had for had, _, _ in neighbours), (neighbours, outcome.table())
    assert sum(one.closes.get("1012", 0) for one in seen.values()) == len(told), outcome.table()
    assert sum(one.unannounced_1012 for one in seen.values()) == 0
    assert all(one.resumed for one in seen.values() if one.told_ms and not one.plain_sessions)
    assert len(neighbours) == 2
    for had, before, after in neighbours:
        assert had > 0
        assert after > before
    # Told to spread: no tenth of the time in which they come back has a third of them.
    told.sort()
    width = (told[-1] - told[0]) / 10
    assert width * 10 > 2_000
    assert max(sum(at <= ms < at + width for ms in told) for at in told) < len(told) / 3
