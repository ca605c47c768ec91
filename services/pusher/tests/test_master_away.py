"""A cluster of which one master is away, or hangs: what lies on the others is hinted at, found, and made room for."""

import asyncio
import math
import signal
from contextlib import suppress
from dataclasses import dataclass

import pytest
import redis
from redis.asyncio import RedisCluster

from audiobus import Bus, Conversation, Hints
from audiobus.connection import open_client
from audiobus.errors import BusUnavailableError
from audiobus.memory import memory_shares
from pusher.books import Books
from pusher.census import Census
from pusher.cutter import Limits
from pusher.dispatch import Dispatch
from pusher.pressure import Pressure
from pusher.reader import BLOCK_MS, MANY_DELIVERIES, Reader
from pusher.relief import Relief
from pusher.scheduler import Scheduler
from pusher.unstored import Unstored
from pusher.worker import BUSY_MS
from servicekit.health import Health
from servicekit.metrics import Metrics
from servicekit.stop import Stop
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import KEEPS_ALL, RedisProcess, make_cluster


@pytest.fixture
def new_scheduler(metrics, clock):
    def make(bus) -> Scheduler:
        return Scheduler(bus, Hints(bus), metrics, Unstored(), 30_000, 60_000, clock)

    return make


async def score(bus, conversation) -> float | None:
    key = bus.keys.due(bus.keys.partition(conversation))
    found = await bus.command("ZSCORE", key, conversation.tag)
    return None if found is None else float(found)


@pytest.fixture
async def broken(tmp_path):
    """A cluster of which any master may be away, and the others serve what is theirs."""
    nodes = make_cluster(any_server(), tmp_path, KEEPS_ALL)
    try:
        async with Bus(f"redis+cluster://127.0.0.1:{nodes[0].port}") as bus:
            await bus.client.execute_command(
                "CONFIG", "SET", "cluster-require-full-coverage", "no", target_nodes=RedisCluster.PRIMARIES
            )
            yield Broken(bus, nodes)
    finally:
        for node in nodes:
            if node.process is not None:
                node.process.send_signal(signal.SIGCONT)
            node.stop()


@dataclass
class Broken:
    bus: Bus
    nodes: list[RedisProcess]

    def node(self, key: str) -> RedisProcess:
        """The master that has a key."""
        port = self.bus.client.get_node_from_key(key).port
        return next(node for node in self.nodes if node.port == port)

    def elsewhere(self, gone: RedisProcess) -> list[int]:
        """The partitions that lie on the others."""
        keys = self.bus.keys
        return [one for one in range(keys.partitions) if self.node(keys.ready(one)) is not gone]


async def test_a_server_that_is_away_spoils_no_others_walk(broken, new_device, new_scheduler, monkeypatch):
    monkeypatch.setattr("audiobus.servers.SCAN_COUNT", 4)
    bus = broken.bus
    devices = [new_device(bus=bus, conversation=f"c{number}") for number in range(40)]
    for device in devices:
        await device.open()
    gone = broken.node(bus.keys.due(0))
    here = [
        one.conversation
        for one in devices
        if broken.node(bus.keys.audio(one.conversation)) is not gone
        and bus.keys.partition(one.conversation) in broken.elsewhere(gone)
    ]
    assert len(here) > 4
    await asyncio.to_thread(gone.kill)
    with pytest.raises(BusUnavailableError):
        await new_scheduler(bus).walk()
    for conversation in here:
        assert await score(bus, conversation) is not None


async def test_what_waits_on_the_others_is_told(broken, new_device, clock):
    """Also by a pusher that begins to count just then."""
    bus = broken.bus
    devices = [new_device(bus=bus, conversation=f"c{number}") for number in range(40)]
    for device in devices:
        await device.open()
        await device.say(1, chunk_s=0.5)
        await Hints(bus).due(device.conversation, 0)
    clock.pass_s(3_600)
    lease = broken.node(bus.keys.census_lease())
    gone = next(node for node in broken.nodes if node is not lease)
    keys = bus.keys
    here = [
        one.conversation
        for one in devices
        if gone
        not in (
            broken.node(keys.audio(one.conversation)),
            broken.node(keys.due(keys.partition(one.conversation))),
        )
    ]
    assert 0 < len(here) < len(devices)
    await asyncio.to_thread(gone.kill)
    metrics, unstored = Metrics("pusher", "0"), Unstored(speaks=False)
    with pytest.raises(BusUnavailableError):  # of all that Redis knows the sums cannot be had
        await Census(bus, Books(metrics), unstored, "one", now_ms=clock).tick()
    assert unstored.age_seconds(clock()) > 3_600
    assert metrics.registry.get_sample_value("tapedeck_audio_waiting_seconds") == pytest.approx(
        len(here) * (1 - 312 / 48_000)
    )
    assert math.isnan(metrics.registry.get_sample_value("tapedeck_audio_dead_seconds"))


async def test_a_server_that_hangs_holds_up_no_hints_on_others(broken, new_scheduler, clock):
    bus, hints = broken.bus, Hints(broken.bus)
    conversations = [Conversation("u", f"c{number}") for number in range(160)]
    for one in conversations:
        await hints.due(one, clock() - 1)
    gone = broken.node(bus.keys.ready(0))
    where = broken.elsewhere(gone)
    expected = sum(bus.keys.partition(one) in where for one in conversations)
    assert 0 < expected < len(conversations)
    gone.process.send_signal(signal.SIGSTOP)
    stop = Stop(10)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(new_scheduler(bus).run(stop))
        async with asyncio.timeout(60):
            while sum([await bus.command("XLEN", bus.keys.ready(one)) for one in where]) < expected:
                await asyncio.sleep(0)
        # And it is hinted at there as soon as it is back.
        gone.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(60):
            lengths = 0
            while lengths < len(conversations):
                with suppress(BusUnavailableError):
                    lengths = sum([await bus.command("XLEN", bus.keys.ready(one)) for one in range(16)])
        stop.set()


async def test_a_server_that_is_away_keeps_nobody_from_making_room_on_others(
    broken, new_device, metrics, clock
):
    bus = broken.bus
    begun = clock()
    devices = [new_device(bus=bus, conversation=f"c{number}") for number in range(24)]
    for device in devices:
        clock.ms = begun
        await device.open()
        await device.say(10)
    gone = broken.node(bus.keys.pressure_lease())
    here = [
        one.conversation
        for one in devices
        if broken.node(bus.keys.audio(one.conversation)) is not gone
        and bus.keys.partition(one.conversation) in broken.elsewhere(gone)
    ]
    for node in broken.nodes:
        with redis.Redis(port=node.port) as client:
            fields = client.info("memory")
            taken = fields["used_memory"] - fields["mem_not_counted_for_evict"]
            client.config_set("maxmemory", int(taken / 0.85))
    await asyncio.to_thread(gone.kill)
    assert len(await memory_shares(bus)) == 2
    relief = Relief(bus, Hints(bus), metrics, Health(), Pressure(0.75), "pusher-1", Limits().early_ms, clock)
    assert await relief.look() == len(here) > 0
    hinted = 0
    for partition in broken.elsewhere(gone):
        hinted += int(await bus.command("XLEN", bus.keys.ready(partition)))
    assert hinted == len(here)
    for node in broken.nodes:
        await asyncio.to_thread(node.kill)
    with pytest.raises(BusUnavailableError):
        await memory_shares(bus)


async def test_hints_at_what_lies_on_a_server_that_is_away_wait_on_due(
    broken, new_device, new_worker, memory_store, clock, metrics, caplog
):
    """They are not read again and again, as if whoever follows them died of it."""
    bus, hints = broken.bus, Hints(broken.bus)
    devices = [new_device(bus=bus, conversation=f"c{number}") for number in range(40)]
    gone = broken.node(bus.keys.audio(devices[0].conversation))
    away = [
        one
        for one in devices
        if broken.node(bus.keys.audio(one.conversation)) is gone
        and bus.keys.partition(one.conversation) in broken.elsewhere(gone)
    ]
    device = away[0]
    await device.open()
    await device.say(70)
    partition = bus.keys.partition(device.conversation)
    await asyncio.to_thread(gone.kill)
    worker = new_worker(memory_store, bus=bus)
    client = open_client(bus.url, blocking_s=BLOCK_MS / 1000)
    stop = Stop(10)
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, worker.drain, hints.done, put_off=worker.put_off)
        reader = Reader(hints, client, dispatch, metrics, partition, "me", 30_000)
        tasks.create_task(reader.run(stop))
        async with asyncio.timeout(60):
            for _ in range(2 * MANY_DELIVERIES):
                await hints.make_group(partition)
                await hints.push_due(device.conversation, clock())
                assert await hints.schedule(partition, clock(), clock() + 30_000) == 1
                # It was followed: it is due soon, and its hint is gone.
                while await score(bus, device.conversation) > clock() + BUSY_MS or await hints.unfollowed(
                    partition
                ):
                    await asyncio.sleep(0.005)
            await asyncio.to_thread(gone.start)
            while not [one async for one in memory_store.list("chunks/")]:
                if not await hints.unfollowed(partition):
                    await hints.ready(device.conversation, "due")
                await asyncio.sleep(0.005)
        stop.set()
        await dispatch.close(5)
    await client.aclose()
    assert "again and again" not in caplog.text
    assert dispatch.failures == 0
