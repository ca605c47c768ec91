"""Redis comes back as it was some time ago: a backup of an hour ago, or a replica that had not everything yet.

Its buffers then hold what lies in the bucket since, `due` knows nothing of them, and cuts stand that were carried out or were never
heard of. All of it is found at once; nothing is stored twice; the books close.
"""

import asyncio
import shutil

import pytest
import redis

from audiobus import Bus, Hints
from audiobus.census import exact
from audiobus.errors import BusUnavailableError
from audiostore.errors import TransientStoreError
from pusher.scheduler import SPREAD_MS, Scheduler
from pusher.unstored import Unstored
from servicekit.stop import Stop
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import RedisProcess
from tapedeck_testing.replica_pair import replica_pair


class Failing:
    """A store that takes nothing."""

    def __init__(self, store) -> None:
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def put(self, *_args, **_fields):
        raise TransientStoreError("away")


@pytest.fixture
def drain_due(new_worker, clock):
    """Drains what is due now, as a pusher that has just started; whom it drained."""

    async def drain(bus, store) -> set[str]:
        hints, worker, drained = Hints(bus), new_worker(store, bus=bus), set()
        await hints.make_group(0)
        await hints.schedule(0, clock(), clock() + 30_000)
        while taken := await hints.take(bus.client, 0, "pusher-1", count=50, block_ms=None):
            for hint in taken:
                await worker.drain(hint.conversation)
                await hints.done(hint)
                drained.add(hint.conversation.cid)
        return drained

    return drain


async def answers(bus) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await bus.ping()
            except BusUnavailableError:
                continue
            return


async def test_a_batch_that_was_planned_before_redis_lost_one_is_planned_anew(
    tmp_path, new_device, new_worker, memory_store, packets_of, monkeypatch
):
    """One pusher stands still between its look into the bucket and its cut; meanwhile another stores, and Redis forgets that."""
    server = RedisProcess(any_server(), tmp_path / "redis").start()
    try:
        async with Bus(server.url) as bus:
            device = new_device(bus=bus, conversation="c")
            await device.open()
            await device.say(20)
            await bus.ask(device.conversation, "flush")
            await bus.command("SAVE")
            shutil.copy(server.directory / "dump.rdb", tmp_path / "backup.rdb")
            worker = new_worker(memory_store, bus=bus)
            plan, plans = worker._planner.plan, 0

            async def plan_and_stand_still(*args, **given):
                nonlocal plans
                plans += 1
                planned = await plan(*args, **given)
                if plans == 1:
                    await bus.release_lease(device.conversation, worker.holder)  # it has run out
                    await device.say(5)
                    await bus.ask(device.conversation, "flush")
                    await new_worker(memory_store, bus=bus).drain(device.conversation)
                    assert await packets_of(memory_store, device.conversation) == device.sent
                    await asyncio.to_thread(restore, server, tmp_path / "backup.rdb")
                    await answers(bus)
                return planned

            monkeypatch.setattr(worker._planner, "plan", plan_and_stand_still)
            await worker.drain(device.conversation)
            assert plans > 1
            assert await packets_of(memory_store, device.conversation) == device.sent
            assert len([name async for name in memory_store.list("chunks/")]) == 1
            assert (await exact(bus, device.conversation)).waiting == 0
    finally:
        server.stop()


async def test_a_backup_of_an_hour_ago(
    tmp_path, new_device, new_worker, drain_due, memory_store, packets_of, metrics, clock
):
    server = RedisProcess(any_server(), tmp_path / "redis").start()
    try:
        async with Bus(server.url) as bus:
            waiting, cut, cutting, later = (
                new_device(bus=bus, conversation=name) for name in ("waiting", "cut", "cutting", "later")
            )
            for device in (waiting, cut, cutting):
                await device.open()
                await device.say(20)
            # One batch is in the bucket and forgotten nowhere; of another only the cut stands.
            await bus.ask(cut.conversation, "flush")
            await new_worker(memory_store, bus=bus).drain(cut.conversation)
            await cut.say(5)
            await bus.ask(cutting.conversation, "flush")
            await new_worker(Failing(memory_store), bus=bus).drain(cutting.conversation)
            assert (await bus.state(cutting.conversation)).cut is not None
            for key in (bus.keys.due(0), bus.keys.ready(0)):
                await bus.command("DEL", key)
            await bus.command("SAVE")
            shutil.copy(server.directory / "dump.rdb", tmp_path / "backup.rdb")

            # What the backup has not seen.
            await later.open()
            for device in (waiting, cut, cutting, later):
                await device.say(30)
                await bus.ask(device.conversation, "end", owner=device.owner, ends=True)
                await new_worker(memory_store, bus=bus).drain(device.conversation)
                assert await packets_of(memory_store, device.conversation) == device.sent

            scheduler = Scheduler(bus, Hints(bus), metrics, Unstored(), 30_000, 60_000, clock)
            assert not await scheduler.is_another()
            await asyncio.to_thread(restore, server, tmp_path / "backup.rdb")
            await answers(bus)
            assert await bus.command("XLEN", bus.keys.audio(waiting.conversation)) == 21

            stop = Stop(5)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(scheduler.run(stop))
                async with asyncio.timeout(60):
                    while await bus.command("ZCARD", bus.keys.due(0)) < 3:
                        await bus.ping()
                stop.set()
            clock.pass_s(SPREAD_MS / 1000 + 60)
            assert await drain_due(bus, memory_store) == {"waiting", "cut", "cutting"}
            for device in (waiting, cut, cutting, later):
                assert await packets_of(memory_store, device.conversation) == device.sent
                assert (await exact(bus, device.conversation)).difference == 0
                assert (await exact(bus, device.conversation)).waiting == 0
    finally:
        server.stop()


def restore(server, backup) -> None:
    """As an operator does it: with the log off, or Redis would look for that alone and begin empty."""
    server.kill()
    shutil.rmtree(server.directory / "appendonlydir", ignore_errors=True)
    for left in server.directory.glob("appendonly*"):
        left.unlink()
    shutil.copy(backup, server.directory / "dump.rdb")
    server.add_options("--appendonly", "no")
    server.start()


@pytest.fixture
def pair(tmp_path):
    """A master and a replica that follows it."""
    with replica_pair(any_server(), tmp_path) as both:
        yield both


class Pair:
    """Fails over by hand."""

    def __init__(self, master, replica) -> None:
        self.master, self.replica = master, replica

    def cut_off(self) -> None:
        """From here on the replica hears nothing; what came before it has."""
        with redis.Redis(port=self.master.port) as master, redis.Redis(port=self.replica.port) as replica:
            assert master.wait(1, 5000) == 1
            replica.replicaof("NO", "ONE")

    def fail_over(self) -> str:
        self.master.kill()
        return self.replica.url


class CutsOff:
    """A store under whose put the replica is cut off: it has the cut, and never hears of what follows."""

    def __init__(self, store, pair) -> None:
        self._store, self._pair = store, pair

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def put(self, *args, **fields):
        await asyncio.to_thread(self._pair.cut_off)
        return await self._store.put(*args, **fields)


@pytest.mark.parametrize("lost", ["finish", "cut and finish"])
async def test_a_failover_that_lost_it_stores_nothing_twice(
    lost, pair, new_device, new_worker, memory_store, packets_of, clock
):
    pair = Pair(*pair)
    async with Bus(pair.master.url) as bus:
        device = new_device(bus=bus)
        await device.open()
        await device.say(20)
        await bus.ask(device.conversation, "flush")
        if lost == "finish":
            await new_worker(CutsOff(memory_store, pair), bus=bus).drain(device.conversation)
        else:
            pair.cut_off()
            await new_worker(memory_store, bus=bus).drain(device.conversation)
        assert (await exact(bus, device.conversation)).waiting == 0
    async with Bus(pair.fail_over()) as bus:
        assert (await exact(bus, device.conversation)).stored == 0
        assert ((await bus.state(device.conversation)).cut is not None) is (lost == "finish")
        device.bus = bus
        await device.say(10)
        await bus.ask(device.conversation, "flush")
        await new_worker(memory_store, bus=bus).drain(device.conversation)
        balance = await exact(bus, device.conversation)
        assert (balance.difference, balance.waiting) == (0, 0)
    assert await packets_of(memory_store, device.conversation) == device.sent


async def test_a_failover_that_lost_a_burial_buries_again(
    pair, new_device, new_worker, memory_store, packets_of
):
    pair = Pair(*pair)
    async with Bus(pair.master.url) as bus:
        device = new_device(bus=bus)
        await device.open()
        await device.say(3)
        (poison,) = device.session.speech(1)
        await device.append(poison, data=b"no chunk")
        pair.cut_off()
        await bus.ask(device.conversation, "flush")
        await new_worker(memory_store, bus=bus).drain(device.conversation)
        assert await bus.command("HLEN", bus.keys.dead(device.conversation)) == 1
    async with Bus(pair.fail_over()) as bus:
        await bus.ask(device.conversation, "flush")
        await new_worker(memory_store, bus=bus).drain(device.conversation)
        assert await bus.command("HLEN", bus.keys.dead(device.conversation)) == 1
        balance = await exact(bus, device.conversation)
        assert (balance.difference, balance.waiting) == (0, 0)
        assert balance.dead == poison.chunk.samples


async def test_a_failover_that_lost_a_wish_stores_when_it_is_due(
    pair, new_device, new_worker, memory_store, packets_of, clock
):
    pair = Pair(*pair)
    async with Bus(pair.master.url) as bus:
        device = new_device(bus=bus)
        await device.open()
        await device.say(5)
        pair.cut_off()
        await bus.ask(device.conversation, "end", owner=device.owner, ends=True)
    async with Bus(pair.fail_over()) as bus:
        worker = new_worker(memory_store, bus=bus)
        await worker.drain(device.conversation)
        assert await packets_of(memory_store, device.conversation) == []
        clock.pass_s(60)
        await worker.drain(device.conversation)
    assert await packets_of(memory_store, device.conversation) == device.sent


async def test_a_failover_that_lost_a_forgetting_forgets_again(
    pair, new_device, new_worker, memory_store, clock
):
    pair = Pair(*pair)
    async with Bus(pair.master.url) as bus:
        device = new_device(bus=bus)
        await device.open()
        await device.say(5)
        await bus.ask(device.conversation, "end", owner=device.owner, ends=True)
        await new_worker(memory_store, bus=bus).drain(device.conversation)
        pair.cut_off()
        clock.pass_s(90_000)
        assert await bus.forget(device.conversation, clock())
    async with Bus(pair.fail_over()) as bus:
        assert await bus.buffered(device.conversation)
        assert await bus.forget(device.conversation, clock())
        assert not await bus.buffered(device.conversation)
