"""Every class of failure of a bucket, on the running pusher: real Redis, fake-gcs-server behind a line that spoils replies, and folders.

Each ends the same way: nothing lost, nothing twice, and it goes on by itself once the bucket works.
"""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from audiobus import Bus
from audiostore import OpenedLater, open_store
from audiostore.attempts import Patience
from pusher import service
from pusher.batch_span import BatchSpans
from pusher.maker import Maker
from pusher.settings import PusherSettings
from servicekit.health import Health
from servicekit.settings import load
from servicekit.stop import Stop
from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.faulty_line import FaultyLine

HASTY = Patience(first_pause_s=0.02, longest_pause_s=0.1, begin_for_s=0.2, deadline_s=10.0)
WITHIN_S = 60.0
PROBE_EVERY_MS = 300


@pytest.fixture(scope="session")
def hasty() -> Patience:
    """How long the store of the pusher tries by itself."""
    return HASTY


@pytest.fixture(scope="session")
def probe_every_ms() -> int:
    """How often an open circuit lets one try."""
    return PROBE_EVERY_MS


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory):
    server = GcsServer.started(tmp_path_factory.mktemp("gcs") / "data")
    yield server
    server.stop()


@pytest.fixture
async def line(gcs_server, monkeypatch):
    """A line to a bucket of its own, and the store behind it."""
    line = FaultyLine(gcs_server.url)
    line.bucket = gcs_server.make_bucket()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", line.url)
    # A connection that is silent is given up after half a second here, not after twenty.
    monkeypatch.setattr("audiostore.gcs_store.TIMEOUT", (0.5, 0.5))
    yield line
    await asyncio.to_thread(line.close)


@pytest.fixture
async def spoiled(line):
    """The store of the pusher, over the line."""
    store = open_store(f"gs://{line.bucket}", HASTY)
    yield store
    line.release.set()
    await store.close()


@pytest.fixture
async def straight(gcs_server, line, monkeypatch):
    """The same bucket, not over the line."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server.url)
    store = open_store(f"gs://{line.bucket}")
    yield store
    await store.close()


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Everything that is looked at every second or so is looked at several times a second."""
    monkeypatch.setattr("pusher.circuit.PROBE_EVERY_MS", PROBE_EVERY_MS)
    monkeypatch.setattr("pusher.circuit.PAUSED_PROBE_EVERY_MS", 400)
    monkeypatch.setattr("pusher.circuit.PROBE_ALONE_MS", 400)
    monkeypatch.setattr("pusher.circuit.BOOKED_EVERY_MS", 50)
    monkeypatch.setattr("pusher.retries.FIRST_MS", 200)
    monkeypatch.setattr("pusher.worker.BUSY_MS", 200)
    monkeypatch.setattr("pusher.scheduler.TICK_S", 0.1)
    monkeypatch.setattr("pusher.reader.BLOCK_MS", 100)
    monkeypatch.setattr("pusher.circuit_report.TICK_S", 0.1)
    monkeypatch.setattr("pusher.comeback.WAIT_S", 0.1)


@pytest.fixture
def now(clock):
    """The devices record in the present: the pusher's clock is the real one."""
    clock.ms = time.time_ns() // 1_000_000 - 600_000
    return clock


def opened(store) -> OpenedLater:
    """The store as the process has it: it is open already."""
    later = OpenedLater("memory:")
    later._store, later.complaint = store, ""
    return later


@pytest.fixture
def serving(redis_url, prefix, metrics, keys, eventually):
    """Runs a pusher in this process, and ends it in order."""

    @asynccontextmanager
    async def serve(store, second=None, **environ):
        settings = load(
            PusherSettings,
            {
                "TAPEDECK_REDIS_URL": redis_url,
                "TAPEDECK_STORE_URL": "memory:",
                "TAPEDECK_PUSHER_CONCURRENCY": "6",
                "TAPEDECK_PUSHER_NAME": "pusher-1",
                "TAPEDECK_REDIS_PREFIX": prefix,
                **environ,
            },
        )
        stop, health, maker = Stop(5.0), Health("redis", "store"), Maker(keys)
        health.ok("store")
        async with Bus(redis_url, prefix=prefix) as bus:
            stores = {"first": opened(store)} | ({} if second is None else {"second": opened(second)})
            running = asyncio.create_task(
                service._serve(settings, stop, bus, stores, maker, metrics, health, BatchSpans())
            )
            try:
                yield health
            finally:
                stop.set()
                await running
                await maker.close()

    return serve


@pytest.fixture
async def record(new_device, bus, hints, now):
    """Conversations that have ended, each with a few seconds that wait."""

    async def make(count, name="c", seconds=3):
        devices = [new_device(conversation=f"{name}{number}") for number in range(count)]
        for device in devices:
            await device.open()
            await device.say(seconds)
            await bus.ask(device.conversation, "end")
            await hints.due(device.conversation, 0)
            await hints.ready(device.conversation, "end")
        return devices

    return make


@pytest.fixture
def is_in(metrics, eventually):
    async def wait(state, store="first"):
        async def reached():
            return metrics._circuit[store, state]._value.get() == 1

        await eventually(reached, f"the {store} bucket is {state}", WITHIN_S)

    return wait


@pytest.fixture
def drained(bus, eventually):
    async def wait(devices, what):
        async def check():
            states = [await bus.state(device.conversation) for device in devices]
            return all(state.settled == state.newest and state.cut is None for state in states)

        await eventually(check, what, WITHIN_S)

    return wait


@pytest.fixture
def waiting(bus):
    """How many samples of these devices wait."""

    async def count(devices) -> int:
        return sum([(await bus.state(device.conversation)).waiting_samples for device in devices])

    return count


@pytest.fixture
async def folder(tmp_path):
    store = open_store(f"file://{tmp_path}/store")
    yield store
    await store.close()
