"""Making room in a real Redis with little memory: who is stored early, and that nothing is lost on the way."""

import asyncio
from contextlib import suppress

import pytest

from audiobus import Bus, Conversation, Hints
from audiobus.census import exact
from audiobus.errors import BusFullError, BusUnavailableError
from audiobus.memory import memory_share
from pusher.cutter import Limits
from pusher.pressure import Pressure
from pusher.relief import CHECK, Relief
from servicekit.health import Health
from servicekit.stop import Stop


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """What is looked at every second or so is looked at several times a second."""
    monkeypatch.setattr("pusher.relief.LOOK_S", 0.1)


@pytest.fixture
async def own(redis_process):
    async with Bus(redis_process.url) as bus:
        yield bus


@pytest.fixture
def new_relief(metrics, clock):
    def make(bus, health=None, **fields) -> Relief:
        health = health or Health()
        return Relief(
            bus, Hints(bus), metrics, health, Pressure(0.75), "pusher-1", Limits().early_ms, clock, **fields
        )

    return make


async def fill(bus, share: float) -> None:
    """Makes what is taken so large a share of maxmemory."""
    fields = await bus.client.info("memory")
    taken = fields["used_memory"] - fields["mem_not_counted_for_evict"]
    await bus.command("CONFIG", "SET", "maxmemory", int(taken / share))


async def follow(bus, drain) -> list[str]:
    """Drains what is hinted at, in order."""
    hints = Hints(bus)
    await hints.make_group(0)
    followed = []
    while taken := await hints.take(bus.client, 0, "pusher-1", count=10, block_ms=None):
        for hint in taken:
            await drain(hint.conversation)
            await hints.done(hint)
            followed.append(hint.conversation.cid)
    return followed


async def test_nobody_is_hurried_while_there_is_room(own, new_relief, metrics):
    relief = new_relief(own)
    assert await relief.look() == 0
    assert (relief.early(), metrics.redis_memory._value.get()) == (False, 0)
    await fill(own, 0.7)
    assert await relief.look() == 0
    assert metrics.redis_memory._value.get() == pytest.approx(0.7, abs=0.05)
    assert relief.health.checks[CHECK].state == "ok"


async def test_the_largest_and_oldest_are_stored_until_there_is_room(
    own, new_device, new_relief, new_worker, memory_store, batches, metrics, clock
):
    seconds = {"short": 3, "new": 9, "old": 9, "large": 30}
    devices = {}
    for name in ("short", "old", "large", "new"):
        devices[name] = new_device(bus=own, conversation=name)
        await devices[name].open()
        await devices[name].say(seconds[name])
    await fill(own, 0.8)
    relief = new_relief(own)
    assert await relief.look() == 3
    assert "stored early" in relief.health.checks[CHECK].detail
    worker = new_worker(memory_store, bus=own, early=relief.early)
    assert await follow(own, worker.drain) == ["large", "old", "new"]
    assert metrics.batches["pressure"]._value.get() == 3
    assert metrics.early_hints._value.get() == 3
    for name, device in devices.items():
        balance = await exact(own, device.conversation)
        assert balance.difference == 0
        left = balance.waiting / 48_000
        assert left == pytest.approx(3, abs=0.1) if name == "short" else left < 8
        stored = [
            p
            for batch in await batches(memory_store, device.conversation)
            for span in batch.spans
            for p in span.packets
        ]
        assert stored == [one for _, one in device.sent][: len(stored)]


async def test_it_ends_when_there_is_room(own, new_device, new_relief, new_worker, memory_store, clock):
    devices = [new_device(bus=own, conversation=f"c{number}") for number in range(60)]
    begun = clock()
    for device in devices:
        clock.ms = begun
        await device.open()
        await device.say(30)
    await fill(own, 0.8)
    relief = new_relief(own)
    worker = new_worker(memory_store, bus=own, early=relief.early)
    assert await relief.look() == 60
    await follow(own, worker.drain)
    assert await relief.look() == 0
    assert not relief.early()
    assert relief.health.checks[CHECK].state == "ok"


async def test_a_full_redis_is_emptied_by_what_it_still_lets_pass(
    own, new_device, new_relief, new_worker, memory_store, clock
):
    """It refuses every append; the bucket, away till now, is back."""
    devices = [new_device(bus=own, conversation=f"c{number}") for number in range(60)]
    begun = clock()
    for device in devices:
        clock.ms = begun
        await device.open()
        await device.say(30)
    await fill(own, 1.0)
    with pytest.raises(BusFullError):
        await own.command("SET", "anything", "x" * 1000)
    relief = new_relief(own)
    worker = new_worker(memory_store, bus=own, early=relief.early)
    hinted = await relief.look()
    assert hinted == 60
    assert "refuses writes" in relief.health.checks[CHECK].detail
    await follow(own, worker.drain)
    await own.command("SET", "anything", "x" * 1000)
    assert await memory_share(own) < 0.9
    for device in devices:
        assert (await exact(own, device.conversation)).difference == 0


async def test_without_a_bucket_nobody_is_hinted_at_but_everybody_is_told(
    own, new_device, new_relief, caplog
):
    device = new_device(bus=own)
    await device.open()
    await device.say(30)
    relief = new_relief(own, serving=lambda: False)
    for share in (0.8, 0.95, 1.05):
        await fill(own, share)
        assert await relief.look() == 0
        assert relief.early()
    assert len({record.detail for record in caplog.records if getattr(record, "check", "") == CHECK}) == 3
    assert (await exact(own, device.conversation)).waiting == 30 * 48_000 - 312


async def test_one_pusher_hints_at_a_time(own, new_device, new_relief):
    device = new_device(bus=own)
    await device.open()
    await device.say(30)
    await fill(own, 0.8)
    first, second = new_relief(own), new_relief(own)
    second.holder = "pusher-2"
    assert (await first.look(), await second.look()) == (1, 0)
    # Both store early what they look at.
    assert second.early()


async def test_it_goes_on_when_redis_was_away(redis_process, own, new_relief):
    relief = new_relief(own)
    stop = Stop(5)
    await asyncio.to_thread(redis_process.kill)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(relief.run(stop))
        await asyncio.to_thread(redis_process.start)
        async with asyncio.timeout(60):
            while CHECK not in relief.health.checks:
                with suppress(BusUnavailableError):
                    await own.ping()
        stop.set()


async def test_keys_that_are_not_ours_are_left_alone(own, new_relief):
    await own.command("XADD", "td:audio:{nobody's}", "*", "x", "y" * 50_000)
    await fill(own, 0.8)
    assert await new_relief(own).look() == 0
    assert Conversation("u", "c") not in await own.live("u")
