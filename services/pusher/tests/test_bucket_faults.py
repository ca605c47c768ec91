"""Every class of failure of a bucket, on the running pusher: real Redis, fake-gcs-server behind a line that spoils replies, and folders.

Each ends the same way: nothing lost, nothing twice, and it goes on by itself once the bucket works.
"""

import asyncio
import errno
import itertools
import os
import time
from collections import deque
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from audiobus import Bus
from audiostore import folder as folders
from audiostore import open_store
from audiostore.attempts import Patience
from audiostore.errors import StoreConfigurationError, TransientStoreError
from pusher import service
from pusher.circuit import Phase
from pusher.maker import Maker
from pusher.settings import PusherSettings
from servicekit.health import Health
from servicekit.settings import load
from servicekit.stop import Stop
from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.faulty_line import Answer, FaultyLine

HASTY = Patience(first_pause_s=0.02, longest_pause_s=0.1, begin_for_s=0.2, deadline_s=10.0)
WITHIN_S = 60.0
CONVERSATIONS = 12
PROBE_EVERY_MS = 300
TRIES = 12
"""Requests of one operation, with that patience, at most."""


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
    monkeypatch.setattr("pusher.scheduler.TICK_S", 0.1)
    monkeypatch.setattr("pusher.reader.BLOCK_MS", 100)
    monkeypatch.setattr("pusher.circuit_report.TICK_S", 0.1)
    monkeypatch.setattr("pusher.comeback.WAIT_S", 0.1)


@pytest.fixture
def now(clock):
    """The devices record in the present: the pusher's clock is the real one."""
    clock.ms = time.time_ns() // 1_000_000 - 600_000
    return clock


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
            running = asyncio.create_task(
                service._serve(settings, stop, bus, (store, second), maker, metrics, health)
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


async def waiting(bus, devices):
    return sum([(await bus.state(device.conversation)).waiting_samples for device in devices])


SPOILED = {
    "429": ("", Answer(429), Phase.OPEN),
    "5xx": ("", None, Phase.OPEN),
    "the reply of each put is lost": ("POST", "lose", Phase.OPEN),
    "every reply is lost": ("", "lose", Phase.OPEN),
    "replies break off": ("", "cut", Phase.OPEN),
    "no reply comes": ("", "stall", Phase.OPEN),
    "connections are closed": ("", "refuse", Phase.OPEN),
    "403": ("", Answer(403), Phase.PAUSED),
    "the right to write is missing": ("POST", Answer(403), Phase.PAUSED),
    "there is no such bucket": ("", Answer(404), Phase.PAUSED),
}


@pytest.mark.parametrize("what", SPOILED)
async def test_whatever_the_bucket_does_it_is_waited_for(
    *,
    what,
    spoiled,
    straight,
    line,
    serving,
    record,
    is_in,
    drained,
    packets_of,
    bus,
    metrics,
    eventually,
    monkeypatch,
):
    text, fault, phase = SPOILED[what]
    devices = await record(CONVERSATIONS)
    total = await waiting(bus, devices)
    if fault == "refuse":
        line.upstream = urlsplit("http://127.0.0.1:1")
    elif fault is None:
        line.faults = deque([(text, Answer(status)) for status in (500, 502, 503, 504)] * 25_000)
    else:
        line.faults = deque([(text, fault)] * 100_000)
    async with serving(spoiled) as health:
        await is_in(phase.value)
        # It goes on trying, one after another; everything stays.
        begun, before = asyncio.get_running_loop().time(), len(line.requests)

        async def tried_again():
            return len(line.requests) >= before + 3

        await eventually(tried_again, "somebody tries again", WITHIN_S)
        passed_s = asyncio.get_running_loop().time() - begun
        # However many wait: those under way when it opened, then one after another, each with its own repeats.
        assert len(line.requests) - before <= (6 + (passed_s + 1) * 1_000 / (0.7 * PROBE_EVERY_MS)) * TRIES
        assert await waiting(bus, devices) == total

        async def told():
            check = health.checks["store"]
            return (
                check.state == ("failed" if phase is Phase.PAUSED else "warning")
                and "chunks/alice" not in check.detail
            )

        await eventually(told, "people hear of it", WITHIN_S)
        line.faults.clear()
        line.release.set()
        line.upstream = urlsplit(straight_url(straight))
        await is_in("closed")
        await drained(devices, "everything is stored")
    for device in devices:
        assert await packets_of(straight, device.conversation) == device.sent
    assert metrics.stored_seconds._value.get() == pytest.approx(total / 48_000)


def straight_url(store):
    return store._client.api_endpoint


async def test_a_bucket_that_answers_late_is_not_away(
    *, spoiled, straight, line, serving, record, drained, packets_of, metrics, monkeypatch
):
    monkeypatch.setattr("audiostore.gcs_store.TIMEOUT", (5.0, 5.0))

    def late(target):
        time.sleep(0.2)
        return target

    line.rewrite = late
    devices = await record(CONVERSATIONS)
    async with serving(spoiled):
        await drained(devices, "everything is stored")
    for device in devices:
        assert await packets_of(straight, device.conversation) == device.sent
    assert metrics._circuit["first", "closed"]._value.get() == 1
    assert metrics.puts["failed"]._value.get() == 0


async def test_answers_that_name_other_checksums_are_not_believed(
    *, spoiled, straight, line, serving, record, drained, packets_of, metrics
):
    line.faults = deque([("POST", "crc")] * 10_000)
    devices = await record(CONVERSATIONS)
    async with serving(spoiled):
        await drained(devices, "everything is stored")
    for device in devices:
        assert await packets_of(straight, device.conversation) == device.sent
    assert line.counted("DELETE") == 0
    assert metrics._circuit["first", "closed"]._value.get() == 1


async def test_single_faults_of_every_kind_are_no_outage(
    *, spoiled, straight, line, serving, record, drained, packets_of, metrics
):
    kinds = itertools.cycle([Answer(429), "lose", Answer(503), "cut", Answer(500)])
    faults = [(text, kind) for text, kind in zip(["POST", "GET"] * 10, kinds, strict=False)]
    line.faults = deque(faults)
    devices = await record(CONVERSATIONS)
    async with serving(spoiled):
        await drained(devices, "everything is stored")
    assert len(line.faults) < len(faults)
    for device in devices:
        assert await packets_of(straight, device.conversation) == device.sent


async def test_a_bucket_that_is_killed_comes_back(
    *, tmp_path, serving, record, is_in, drained, packets_of, bus, monkeypatch
):
    server = GcsServer.started(tmp_path / "gcs", lasting=True)
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        store = open_store(f"gs://{server.make_bucket()}", HASTY)
        first = await record(3, "before")
        async with serving(store):
            await drained(first, "the first are stored")
            server.kill()
            rest = await record(CONVERSATIONS, "meanwhile")
            total = await waiting(bus, rest)
            await is_in("open")
            assert await waiting(bus, rest) == total
            server.start()
            await is_in("closed")
            await drained(rest, "everything is stored")
        for device in [*first, *rest]:
            assert await packets_of(store, device.conversation) == device.sent
        await store.close()
    finally:
        server.stop()


async def test_the_second_bucket_takes_what_the_first_does_not_and_gives_it_back(
    *,
    spoiled,
    straight,
    line,
    serving,
    record,
    is_in,
    drained,
    packets_of,
    folder,
    eventually,
    monkeypatch,
    metrics,
):
    monkeypatch.setattr("pusher.buckets.AWAY_MS", 1_000)
    monkeypatch.setattr("pusher.buckets.SPREAD_MS", 100)
    monkeypatch.setattr("pusher.mover.TICK_S", 0.1)
    monkeypatch.setattr("pusher.mover.AGAIN_S", 0.5)
    before = await record(3, "before")
    async with serving(spoiled, folder):
        await drained(before, "the first are stored")
        line.upstream = urlsplit("http://127.0.0.1:1")
        meanwhile = await record(CONVERSATIONS, "meanwhile")
        await drained(meanwhile, "the others are stored, in the second bucket")
        for device in meanwhile:
            assert await packets_of(folder, device.conversation) == device.sent
        assert metrics._circuit["first", "open"]._value.get() == 1
        # Nothing more is recorded: the mover itself sees that the first is back.
        line.upstream = urlsplit(straight_url(straight))

        async def home():
            moved = sum(metrics.moved_home[outcome]._value.get() for outcome in ("moved", "found"))
            return moved == CONVERSATIONS and not [info async for info in folder.list("chunks/")]

        await eventually(home, "everything is home", WITHIN_S)
        await is_in("closed")
    for device in [*before, *meanwhile]:
        assert await packets_of(straight, device.conversation) == device.sent
    assert metrics.fallback_batches._value.get() == CONVERSATIONS


@pytest.fixture
async def folder(tmp_path):
    store = open_store(f"file://{tmp_path}/store")
    yield store
    await store.close()


@pytest.mark.parametrize("kind", ["gone", "read-only", "full"])
async def test_a_folder_that_cannot_be_written_is_waited_for(
    *, kind, folder, tmp_path, serving, record, is_in, drained, packets_of, bus, monkeypatch, caplog
):
    """Unmounted; or the file system answers EROFS or ENOSPC where data are written (a real disk of each kind: `test_folder` of audiostore)."""
    root, away = tmp_path / "store", tmp_path / "unmounted"
    broken = True
    if kind == "gone":
        root.rename(away)
    else:
        write, code = folders._write_all, errno.EROFS if kind == "read-only" else errno.ENOSPC

        def fails(descriptor, data):
            if broken:
                raise OSError(code, os.strerror(code))
            write(descriptor, data)

        monkeypatch.setattr(folders, "_write_all", fails)
    devices = await record(CONVERSATIONS)
    total = await waiting(bus, devices)
    async with serving(folder) as health:
        await is_in("open" if kind == "full" else "paused")
        assert await waiting(bus, devices) == total
        assert health.ready or kind != "full"
        broken = False
        if kind == "gone":
            assert not root.exists()
            away.rename(root)
        await is_in("closed")
        await drained(devices, "everything is stored")
    for device in devices:
        assert await packets_of(folder, device.conversation) == device.sent
    loud = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert bool(loud) == (kind != "full")
    assert not any("chunks/alice" in str(vars(record)) for record in caplog.records)


class SomeHang:
    """A store in which the objects of some conversations hang, each time until it is given up."""

    def __init__(self, real, text, for_s) -> None:
        self._real, self._text, self._for_s = real, text, for_s
        self.hanging = 0
        self.tries = 0
        self.hangs = True

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, name, *args, **kwargs):
        if not (self.hangs and self._text in name):
            return await self._real.put(name, *args, **kwargs)
        self.hanging += 1
        self.tries += 1
        try:
            async with asyncio.timeout(self._for_s):
                await asyncio.Event().wait()
        except TimeoutError as error:
            raise TransientStoreError("not done in time") from error
        finally:
            self.hanging -= 1


async def test_objects_that_hang_delay_no_other_conversation(
    *, memory_store, serving, record, drained, packets_of, eventually
):
    """More of them than there are slots: once they have failed they share half of the slots."""
    store = SomeHang(memory_store, "/hangs", 1.0)
    hanging = await record(10, "hangs", seconds=2)
    async with serving(store):

        async def all_failed_once():
            return store.tries >= 10

        await eventually(all_failed_once, "each has failed once", WITHIN_S)
        for wave in range(4):
            others = await record(6, f"wave{wave}-", seconds=2)
            await drained(others, "the others are stored")
            assert store.hanging <= 6
        store.hangs = False
        await drained(hanging, "those are stored too")
    for device in hanging:
        assert await packets_of(memory_store, device.conversation) == device.sent


async def test_what_is_refused_for_one_object_pauses_nobody_for_long(
    *, memory_store, serving, record, drained, packets_of
):
    class OneRefused:
        refuses = True

        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, name, *args, **kwargs):
            if self.refuses and "/refused0/" in name:
                raise StoreConfigurationError("403 for this name")
            return await memory_store.put(name, *args, **kwargs)

    store = OneRefused()
    [refused] = await record(1, "refused")
    async with serving(store):
        for wave in range(3):
            others = await record(4, f"wave{wave}-", seconds=1)
            await drained(others, "the others are stored")
        store.refuses = False
        await drained([refused], "this one too")
    assert await packets_of(memory_store, refused.conversation) == refused.sent
