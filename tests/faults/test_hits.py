"""A run fails if one of its faults never hit, and only what the system's own processes meet is a hit."""

import asyncio
import contextlib
import random
from collections import Counter
from types import SimpleNamespace

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidHandshake

from tapedeck_testing.faults.chaos import on_bucket, on_redis
from tapedeck_testing.faults.chaos.bucket_line import BucketLine
from tapedeck_testing.faults.chaos.kinds import KINDS, Blow
from tapedeck_testing.faults.chaos.options import ChaosOptions
from tapedeck_testing.faults.chaos.report import ChaosOutcome
from tapedeck_testing.faults.chaos.servers import Servers
from tapedeck_testing.faults.chaos.shelf import GcsShelf
from tapedeck_testing.faults.hand import Hand
from tapedeck_testing.faults.report import Options, Outcome
from tapedeck_testing.faults.schedule import Fault

KILLED = Fault(0.0, "listen killed", 0.0, 0.0)
LASTS_S = 0.6


def blow(name):
    return Blow(0.0, KINDS[name], LASTS_S, 1.0, seed=1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for module in (on_redis, on_bucket):
        monkeypatch.setattr(module, "UNTIL_HIT_S", 1.5)


# -- a run ---------------------------------------------------------------------------------------------------------------


def test_a_run_of_chaos_whose_fault_hit_nothing_fails():
    outcome = ChaosOutcome(ChaosOptions(Options()), Counter({"pusher killed": 2, "lines cut": 1}))
    outcome.tally.note(KINDS["lines cut"], 3)
    outcome.tally.note(KINDS["pusher killed"], 0)
    assert outcome.failed
    assert "NEVER HIT: pusher killed" in outcome.table()
    outcome.tally.note(KINDS["pusher killed"], 1)
    assert not outcome.failed
    outcome.wrong["books"] = ["they do not close"]
    assert outcome.failed


def test_a_run_of_chaos_in_which_a_reader_was_told_less_than_was_acked_fails():
    outcome = ChaosOutcome(ChaosOptions(Options()))
    assert not outcome.failed
    outcome.reads.broken.append("c1: less than was acked")
    assert outcome.failed


def test_a_soak_whose_fault_hit_nothing_fails():
    outcome = Outcome(Options(), faults=[KILLED])
    assert outcome.failed
    assert "NEVER HIT: listen killed" in outcome.table()
    outcome.hits["listen killed"] += 1
    assert not outcome.failed
    outcome.wrong["c1"] = ["missing"]
    assert outcome.failed


@pytest.mark.asyncio(loop_scope="module")
async def test_a_listen_without_clients_is_not_hit_when_it_is_killed(rig):
    assert await rig.perform(KILLED) == 0
    async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
        while True:
            hand = Hand(rig.address, rig.stack.user_token("u"), "hit")
            with contextlib.suppress(OSError, InvalidHandshake):  # it is not back yet
                await stack.enter_async_context(hand)
                break
            await asyncio.sleep(0.1)
        await hand.ready()
        assert await rig.perform(KILLED) == 1


# -- Redis ---------------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def servers(tmp_path):
    one = Servers(tmp_path / "redis")
    await one.start()
    yield one
    await one.stop()


@contextlib.asynccontextmanager
async def asking(servers):
    """Somebody who asks Redis all the time, through its relay; the port from which."""
    reader, writer = await asyncio.open_connection("127.0.0.1", servers.relays[0].port)

    async def ask():
        while True:
            writer.write(b"PING\r\n")
            await asyncio.sleep(0.05)

    async def read():
        while await reader.read(1000):
            pass

    tasks = [asyncio.create_task(ask()), asyncio.create_task(read())]
    yield writer.get_extra_info("sockname")[1]
    for task in tasks:
        task.cancel()
    writer.transport.abort()


@pytest.mark.parametrize("name", ["redis paused", "redis client pause"])
async def test_a_silent_redis_is_met_by_processes_of_the_system_alone(servers, name):
    do = on_redis.REDIS_FAULTS[name]
    async with asking(servers) as port:
        ours = SimpleNamespace(servers=servers, ports=set)
        assert await do(ours, blow(name), random.Random(1)) == 0
        system = SimpleNamespace(servers=servers, ports=lambda: {port})
        async with asyncio.timeout(60):  # a busy machine may ask nothing in so short a time
            while not await do(system, blow(name), random.Random(1)):
                pass
    assert await servers.ask(0, "PING")


async def test_a_silent_redis_that_nobody_asks_is_not_hit(servers):
    system = SimpleNamespace(servers=servers, ports=lambda: {1})
    assert await on_redis.pause(system, blow("redis paused"), random.Random(1)) == 0


# -- the bucket ----------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def shelf(tmp_path):
    one = GcsShelf(tmp_path, seed=1, fallback=False)
    one.line = await BucketLine(1).start()
    yield one
    await one.line.stop()


async def test_a_bucket_that_nobody_asks_is_not_away(shelf):
    assert await on_bucket.away(SimpleNamespace(shelf=shelf), blow("bucket away"), random.Random(1)) == 0


async def test_who_finds_the_bucket_away_is_counted(shelf):
    port = int(shelf.line.url.rpartition(":")[2])
    refused = 0

    async def ask():
        nonlocal refused
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert not await reader.read()
                writer.close()
            except ConnectionRefusedError:
                refused += 1
            except ConnectionResetError:
                pass
            await asyncio.sleep(0.02)

    asking, hits = asyncio.create_task(ask()), 0
    async with asyncio.timeout(60):  # a busy machine may ask nothing in so short a time
        while not (hits and refused):
            hits += await on_bucket.away(SimpleNamespace(shelf=shelf), blow("bucket away"), random.Random(1))
    asking.cancel()
