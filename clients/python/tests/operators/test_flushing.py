"""What a flush tells of what waited when it was asked for, over a real Redis."""

import asyncio
import threading
import time

import pytest
import redis

from audiobus import Cut, CutStands, Hints
from audiobus.deletions import set_tombstone, sweep
from audiobus.errors import BusUnavailableError
from audiobus.masters import Masters
from tapedeck.operators.flushing import Flush

SECOND = 48_000
FIRST_S = 1 - 312 / SECOND


async def settle(bus, recorded, count):
    """The first so many seconds are stored, as a pusher does it."""
    conversation = recorded.conversation
    entries = await bus.read(conversation, count=count + 1)
    cut = Cut(1, str(entries[0].id), str(recorded.ids[count - 1]), "", "standard", "size")
    assert await bus.cut(conversation, cut, settled=None) == CutStands()
    samples = sum(one.counted_samples for one in entries)
    await bus.finish(
        conversation, cut.encode(), last=cut.last_id, preroll=None, samples=samples, ends={}, now_ms=0
    )


async def nothing(_flush):
    pass


def flushed(on_redis, recorded, meanwhile):
    """What a flush says after `meanwhile(bus)` happened to what waited."""

    async def work(bus):
        flush = Flush(Masters(bus))
        await flush.ask([recorded.conversation])
        await meanwhile(bus)
        return await flush.wait(1, nothing)

    return on_redis(work)


def test_what_is_stored_and_what_is_buried(on_redis, record):
    recorded = record("talk", 4)

    async def meanwhile(bus):
        await settle(bus, recorded, 3)
        [entry] = await bus.read(recorded.conversation, count=9)
        assert await bus.bury(
            recorded.conversation, entry, reason="spoilt", first_offset=1500, samples=SECOND, now_ms=1
        )

    told = flushed(on_redis, recorded, meanwhile)
    assert told.done
    assert (told.stored_seconds, told.dead_seconds, told.new_dead_letters) == (2 + FIRST_S, 1, 1)
    assert (told.deleted_seconds, told.lost_seconds, told.waiting_seconds) == (0, 0, 0)


def test_what_is_deleted_meanwhile_is_not_stored(on_redis, record):
    recorded = record("talk", 3)

    async def meanwhile(bus):
        await settle(bus, recorded, 1)
        await set_tombstone(bus, recorded.conversation, 1)
        await sweep(bus, recorded.conversation, 2)

    told = flushed(on_redis, recorded, meanwhile)
    assert (told.done, told.stored_seconds, told.deleted_seconds, told.lost_seconds) == (True, FIRST_S, 2, 0)


@pytest.mark.parametrize("keys", [("audio",), ("audio", "conv")])
def test_what_redis_loses_meanwhile_is_not_stored(on_redis, record, keys):
    recorded = record("talk", 3)

    async def meanwhile(bus):
        for key in keys:
            await bus.command("DEL", getattr(bus.keys, key)(recorded.conversation))

    told = flushed(on_redis, recorded, meanwhile)
    assert (told.done, told.stored_seconds, told.lost_seconds) == (True, 0, 2 + FIRST_S)


def test_what_waits_still(on_redis, record):
    recorded = record("talk", 3)
    told = flushed(on_redis, recorded, lambda bus: settle(bus, recorded, 2))
    assert (told.done, told.stored_seconds, told.waiting_seconds) == (False, 1 + FIRST_S, 1)


class TestARedisThatGoesAway:
    @pytest.fixture
    def redis_url(self, redis_process):
        return redis_process.url

    def test_the_wait_goes_on_when_it_is_back(self, on_redis, record, redis_process):
        recorded = record("talk", 3)

        async def work(bus):
            flush = Flush(Masters(bus))
            await flush.ask([recorded.conversation])
            began = asyncio.Event()

            async def seen(_flush):
                began.set()

            waiting = asyncio.create_task(flush.wait(60, seen))
            await began.wait()
            await asyncio.to_thread(redis_process.kill)
            await asyncio.to_thread(redis_process.start)
            await settle(bus, recorded, 3)
            return await waiting

        told = on_redis(work)
        assert (told.done, told.stored_seconds, told.problem) == (True, 2 + FIRST_S, "")

    def test_a_hint_whose_reply_is_lost_ends_nothing(self, on_redis, record, monkeypatch):
        recorded = record("talk", 3)
        ready = Hints.ready

        async def told_and_not_heard(*args):
            await ready(*args)
            raise BusUnavailableError("ready: Connection closed by server.")

        async def work(bus):
            monkeypatch.setattr(Hints, "ready", told_and_not_heard)
            flush = Flush(Masters(bus))
            await flush.ask([recorded.conversation])
            return flush.left, flush.not_asked

        assert on_redis(work) == ([recorded.conversation], [])

    def test_the_time_is_over_before_it_is_back(self, command, record, prefix, redis_process):
        recorded = record("talk", 3)

        def kill_when_asked():
            deadline = time.monotonic() + 20
            with redis.Redis(port=redis_process.port) as client:
                while not client.xlen(f"{prefix}ready:{{0}}"):
                    assert time.monotonic() < deadline
            redis_process.kill()

        killer = threading.Thread(target=kill_when_asked)
        killer.start()
        found = command("buffers", "flush", recorded.tag, "--timeout", "1")
        killer.join()
        assert found.code == 1
        assert "goes on without this command" in found.err
        assert "Redis does not answer" in found.err
