"""An export that somebody copies into the bucket while pushers live on: nothing comes to lie there twice."""

import contextlib

import pytest

from audiobus import Bus, Cut, CutStands
from audiostore import open_store
from audiostore.errors import AlreadyExistsError, StoreConfigurationError
from audiostore.names import CONTENT_TYPE
from pusher.cutter import Limits
from pusher.exporter import Exported, Exporter
from pusher.maker import Maker


class Gate:
    """A bucket that can be away, or full."""

    def __init__(self, real) -> None:
        self._real = real
        self.away = False
        self.full = False

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, *args, **kwargs):
        self._look()
        if self.full:
            raise StoreConfigurationError("full")
        return await self._real.put(*args, **kwargs)

    async def list(self, prefix, after=""):
        self._look()
        async for info in self._real.list(prefix, after):
            yield info

    def _look(self):
        if self.away:
            raise StoreConfigurationError("away")


@pytest.fixture
async def export(bus, tmp_path, clock, keys, memory_store, conversation):
    """Exports what waits; gives what copies it, as `--no-clobber` does."""
    folder = open_store(f"file://{tmp_path}/rescue")

    async def make():
        exporter = Exporter(bus, folder, Maker(keys), Limits(), clock())
        await exporter.buffer(conversation, Exported(conversation.tag))

        async def copy():
            async for info in folder.list("chunks/"):
                data = await folder.get(info.name)
                with contextlib.suppress(AlreadyExistsError):
                    await memory_store.put(info.name, data, content_type=CONTENT_TYPE, metadata={})

        return copy

    yield make
    await folder.close()


@pytest.fixture
async def looked(device, bus, memory_store, new_worker):
    """A worker that has stored ten seconds of the conversation: it knows what the bucket holds. And its bucket."""
    gate = Gate(memory_store)
    worker = new_worker(gate)
    await device.open()
    await device.say(10)
    await flushed(bus, device, worker)
    return worker, gate


async def flushed(bus, device, worker):
    await bus.ask(device.conversation, "flush")
    await worker.drain(device.conversation)


async def test_a_pusher_looks_for_what_was_exported_whenever_it_is_copied(
    device, bus, memory_store, looked, export, packets_of, clock
):
    worker, _ = looked
    await device.say(12)
    copy = await export()
    assert (await bus.state(device.conversation)).export_waits
    await device.say(5)
    clock.pass_s(61)
    await copy()
    await device.say(3)
    await flushed(bus, device, worker)
    assert await packets_of(memory_store) == device.sent
    assert not (await bus.state(device.conversation)).export_waits


async def test_a_cut_that_stands_is_not_put_beside_its_copy(
    device, bus, memory_store, looked, export, packets_of, clock
):
    worker, gate = looked
    await device.say(12)
    gate.away = True
    await flushed(bus, device, worker)  # cut, and not stored
    assert (await bus.state(device.conversation)).cut
    copy = await export()
    await copy()
    await device.say(8)
    gate.away = False
    clock.pass_s(600)
    await flushed(bus, device, worker)
    assert await packets_of(memory_store) == device.sent


async def test_a_cut_of_a_pusher_that_had_not_heard_of_the_export(
    device, bus, memory_store, looked, export, packets_of
):
    worker, _ = looked
    await device.say(12)
    copy = await export()
    entries = await bus.read(device.conversation, count=20)
    name = f"chunks/{device.conversation.tag}/1700000010.000-1700000022.500.batch.bin"
    cut = Cut(1, str(entries[0].id), str(entries[-1].id), name, "standard", "size")
    settled = (await bus.state(device.conversation)).settled
    assert await bus.cut(device.conversation, cut, settled=settled) == CutStands()
    await copy()
    await device.say(8)
    await flushed(bus, device, worker)
    assert await packets_of(memory_store) == device.sent


async def test_exports_of_several_times_into_one_folder_hold_each_byte_once(
    device, bus, memory_store, new_worker, export, packets_of
):
    """The buffer has grown meanwhile: what is there stays, and what is new goes beside it."""
    await device.open()
    for seconds in (30, 20, 75):
        await device.say(seconds)
        copy = await export()
    await copy()
    assert await packets_of(memory_store) == device.sent
    await flushed(bus, device, new_worker(memory_store))
    assert await packets_of(memory_store) == device.sent
    assert (await bus.state(device.conversation)).waiting_samples == 0


async def test_a_cut_that_was_written_down_between_two_exports(
    device, bus, memory_store, looked, export, packets_of, clock
):
    worker, gate = looked
    await device.say(12)
    await export()
    await device.say(9)
    gate.full = True
    await flushed(bus, device, worker)
    assert (await bus.state(device.conversation)).cut
    await device.say(8)
    for _ in range(2):
        copy = await export()
    await copy()
    assert await packets_of(memory_store) == device.sent
    gate.full = False
    clock.pass_s(600)
    await flushed(bus, device, worker)
    assert await packets_of(memory_store) == device.sent
    assert (await bus.state(device.conversation)).waiting_samples == 0


async def test_a_pusher_looks_again_once_the_bucket_was_away(
    device, bus, memory_store, looked, export, packets_of, clock
):
    worker, gate = looked
    await device.say(12)
    copy = await export()
    await bus.command("HDEL", bus.keys.conv(device.conversation), "exported")  # of an older build
    gate.away = True
    while worker.buckets.well:
        with pytest.raises(StoreConfigurationError):
            _ = [info async for info in worker.buckets.first.list("chunks/")]
    await copy()
    await device.say(8)
    gate.away = False
    clock.pass_s(600)
    await flushed(bus, device, worker)
    assert worker.buckets.well
    assert await packets_of(memory_store) == device.sent


async def test_nobody_looks_for_what_was_exported_once_it_is_settled(
    device, bus, looked, export, conversation
):
    worker, _ = looked
    await export()
    state = await bus.state(conversation)
    assert state.exported == state.settled
    assert not state.export_waits
    await device.say(1)
    await export()
    assert (await bus.state(conversation)).export_waits
    await flushed(bus, device, worker)
    assert not (await bus.state(conversation)).export_waits


async def test_a_conversation_that_nobody_recorded_is_not_made_by_an_export(bus, export, conversation):
    await export()
    assert await bus.command("EXISTS", bus.keys.conv(conversation)) == 0
    assert not (await bus.state(conversation)).export_waits


async def test_a_redis_that_takes_no_writes_is_exported_all_the_same(
    redis_process, new_device, tmp_path, clock, keys
):
    folder = open_store(f"file://{tmp_path}/rescue")
    async with Bus(redis_process.url) as bus:
        device = new_device(bus=bus)
        await device.open()
        await device.say(3)
        await bus.command("CONFIG", "SET", "min-replicas-to-write", "1")
        exported = Exported(device.conversation.tag)
        await Exporter(bus, folder, Maker(keys), Limits(), clock()).buffer(device.conversation, exported)
    assert exported.objects == 1
    assert "stop the pushers" in exported.problem
    assert len([info async for info in folder.list("chunks/")]) == 1
    await folder.close()
