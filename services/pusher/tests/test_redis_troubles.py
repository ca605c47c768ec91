"""What Redis can be: read only, loading, without its master, full, slow, out of reach of one pusher. Everything waits, and goes on."""

import asyncio
import contextlib
import os
import shutil

import pytest
import redis

from audiobus import Bus, Hints, Writer
from audiobus.answers import Appended
from audiobus.census import exact
from audiobus.connection import open_client
from audiobus.errors import BusFullError, BusUnavailableError
from pusher.dispatch import Dispatch
from pusher.reader import BLOCK_MS, Reader
from servicekit.stop import Stop
from tapedeck_testing.faults.relay import Relay


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """What is looked at every second or so is looked at several times a second."""
    monkeypatch.setattr("pusher.reader.BLOCK_MS", 50)
    monkeypatch.setattr("pusher.reader.PAUSE_S", 0.05)


@contextlib.asynccontextmanager
async def replica_of_nobody(server, *, stale: bool):
    """It follows a master that is not there: it refuses writes, and without `stale` reads too."""
    with redis.Redis(port=server.port) as client:
        client.config_set("replica-serve-stale-data", "yes" if stale else "no")
        client.replicaof("127.0.0.1", 1)
        yield
        client.replicaof("NO", "ONE")


@contextlib.asynccontextmanager
async def loading(server):
    """It is starting, with a file that takes it seconds to read."""
    with redis.Redis(port=server.port) as client:
        for number in range(12):
            client.set(f"other:{number}", os.urandom(3000))
        client.save()
    shutil.copy(server.directory / "dump.rdb", server.directory / "kept.rdb")
    server.kill()
    shutil.rmtree(server.directory / "appendonlydir", ignore_errors=True)
    for left in server.directory.glob("appendonly*"):
        left.unlink()
    server.add_options(
        "--appendonly", "no", "--key-load-delay", "150000", "--loading-process-events-interval-bytes", "1024"
    )
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    async with asyncio.timeout(60), Bus(server.url) as bus:
        while True:
            try:
                await bus.ping()
            except BusUnavailableError as error:
                if "loading" in str(error).lower():
                    break
    yield
    await starting


@contextlib.asynccontextmanager
async def full(server):
    """Not one byte is left."""
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


TROUBLES = {
    "read only": lambda server: replica_of_nobody(server, stale=True),
    "without its master": lambda server: replica_of_nobody(server, stale=False),
    "loading": loading,
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_nothing_is_done_and_nothing_is_lost(
    trouble, redis_process, new_device, new_worker, memory_store, packets_of, metrics
):
    async with Bus(redis_process.url) as bus:
        hints, worker, stop = Hints(bus), new_worker(memory_store, bus=bus), Stop(5)
        device = new_device(bus=bus)
        await device.open()
        await device.say(5)
        await bus.ask(device.conversation, "flush")
        blocking = open_client(redis_process.url, blocking_s=BLOCK_MS / 1000)
        async with asyncio.TaskGroup() as tasks:
            writer = Writer(bus)
            writing = tasks.create_task(writer.run())
            (chunk,) = device.session.speech(1)
            async with TROUBLES[trouble](redis_process):
                dispatch = Dispatch(tasks, worker.drain, hints.done)
                reading = tasks.create_task(
                    Reader(hints, blocking, dispatch, metrics, 0, "me", 30_000).run(stop)
                )
                with pytest.raises(BusUnavailableError) as refused:
                    await writer.append(device.request(chunk))
                assert not isinstance(refused.value, BusFullError)
                with pytest.raises(BusUnavailableError):
                    await worker.drain(device.conversation)
                with pytest.raises(BusUnavailableError):
                    await new_device(bus=bus, conversation="new").open()
            async with asyncio.timeout(60):
                while True:
                    with contextlib.suppress(BusUnavailableError):
                        assert isinstance(await writer.append(device.request(chunk)), Appended)
                        await bus.ask(device.conversation, "flush")
                        await hints.ready(device.conversation, "flush")
                        break
                while await packets_of(memory_store, device.conversation) != device.sent:
                    await bus.ping()
            stop.set()
            await reading
            await dispatch.close(5)
            writer.close()
            await writing
        await blocking.aclose()
        assert (await exact(bus, device.conversation)).difference == 0


async def test_a_reader_that_starts_while_redis_is_full_drains_it(
    redis_process, new_device, new_worker, memory_store, packets_of, metrics
):
    async with Bus(redis_process.url) as bus:
        hints, worker, stop = Hints(bus), new_worker(memory_store, bus=bus), Stop(5)
        device = new_device(bus=bus)
        await device.open()
        await device.say(5)
        await bus.ask(device.conversation, "flush")
        await hints.ready(device.conversation, "flush")
        blocking = open_client(redis_process.url, blocking_s=BLOCK_MS / 1000)
        async with full(redis_process), asyncio.TaskGroup() as tasks:
            dispatch = Dispatch(tasks, worker.drain, hints.done)
            reading = tasks.create_task(Reader(hints, blocking, dispatch, metrics, 0, "me", 30_000).run(stop))
            async with asyncio.timeout(60):
                while await packets_of(memory_store, device.conversation) != device.sent:
                    await bus.ping()
            stop.set()
            await reading
            await dispatch.close(5)
        await blocking.aclose()


class Held:
    """A store whose put is done, and answers only when it is let go."""

    def __init__(self, store) -> None:
        self._store = store
        self.done, self.go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def put(self, *args, **fields):
        answer = await self._store.put(*args, **fields)
        self.done.set()
        await self.go.wait()
        return answer


@pytest.mark.parametrize("heals", ["before its put ends", "never"])
async def test_one_pusher_is_cut_off_and_another_takes_over(
    heals, redis_process, new_device, new_worker, memory_store, packets_of
):
    relay = await Relay("127.0.0.1", redis_process.port).start()
    try:
        async with Bus(redis_process.url) as bus, Bus(f"redis://127.0.0.1:{relay.port}") as behind:
            device = new_device(bus=bus)
            await device.open()
            await device.say(5)
            await bus.ask(device.conversation, "flush")
            held = Held(memory_store)
            first = new_worker(held, bus=behind, holder="cut off", lease_ms=900)
            second = new_worker(memory_store, bus=bus, holder="other")
            draining = asyncio.create_task(first.drain(device.conversation))
            await held.done.wait()
            relay.refusing = True
            relay.spoil("drop")
            async with asyncio.timeout(60):
                while (await exact(bus, device.conversation)).waiting:
                    await second.drain(device.conversation)  # in vain, as long as the other's lease stands
            await device.say(5)
            relay.refusing = heals == "never"
            held.go.set()
            if heals == "never":
                with pytest.raises(BusUnavailableError):
                    await draining
            else:
                await draining
            await bus.ask(device.conversation, "end")
            await second.drain(device.conversation)
            assert await packets_of(memory_store, device.conversation) == device.sent
            assert (await exact(bus, device.conversation)).difference == 0
    finally:
        await relay.stop()


async def test_a_slow_redis_costs_time_and_nothing_else(
    redis_process, new_device, new_worker, memory_store, packets_of
):
    relay = await Relay("127.0.0.1", redis_process.port).start()
    try:
        async with Bus(f"redis://127.0.0.1:{relay.port}") as bus:
            relay.delay_s = 0.05
            device = new_device(bus=bus)
            await device.open()
            await device.say(3)
            await bus.ask(device.conversation, "flush")
            await new_worker(memory_store, bus=bus).drain(device.conversation)
            assert await packets_of(memory_store, device.conversation) == device.sent
            assert relay.delayed
    finally:
        await relay.stop()
