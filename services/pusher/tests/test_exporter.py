"""What is exported is what a pusher would store, byte for byte."""

import asyncio
import os
import sys

import pytest

from audiobus import Cut, CutStands
from audiobus.census import exact
from audiobus.deletions import set_user_tombstone
from audiostore import open_store
from pusher.arrived import read_entry
from pusher.cutter import Limits
from pusher.exporter import Exported, Exporter
from pusher.maker import Maker


@pytest.fixture
async def folder(tmp_path):
    store = open_store(f"file://{tmp_path}/out")
    yield store
    await store.close()


@pytest.fixture
def new_exporter(bus, folder, clock, keys):
    return lambda: Exporter(bus, folder, Maker(keys), Limits(), clock())


async def objects(store) -> dict[str, bytes]:
    return {info.name: await store.get(info.name) async for info in store.list("")}


async def exported_of(exporter, conversation) -> Exported:
    found = Exported(conversation.tag)
    await exporter.buffer(conversation, found)
    return found


async def test_several_batches_with_pre_roll_and_gaps(
    device, bus, memory_store, new_worker, new_exporter, folder, clock
):
    await device.open()
    await device.say(75)
    clock.pass_s(20)
    device.session.begin_run()
    await device.say(130)
    before = await exact(bus, device.conversation)
    found = await exported_of(new_exporter(), device.conversation)
    assert await exact(bus, device.conversation) == before
    await bus.ask(device.conversation, "flush")
    await new_worker(memory_store).drain(device.conversation)
    written = await objects(folder)
    assert written == await objects(memory_store)
    assert len(written) >= 4
    assert (found.objects, found.unreadable, found.problem) == (len(written), 0, "")
    assert found.seconds == pytest.approx(before.waiting / 48_000)


async def test_a_cut_that_stands_and_what_was_stored_before_it(
    device, bus, memory_store, new_worker, new_exporter, folder, failing_store
):
    await device.open()
    await device.say(65)
    worker = new_worker(memory_store)
    await worker.drain(device.conversation)
    stored = await objects(memory_store)
    assert stored
    await device.say(65)
    state = await bus.state(device.conversation)
    entries = await bus.read(device.conversation, count=20)
    name = next(iter(stored)).rpartition("/")[0] + "/1700000070.000-1700000080.000.batch.bin"
    cut = Cut(1, str(entries[0].id), str(entries[-1].id), name, "standard", "size")
    assert await bus.cut(device.conversation, cut, settled=state.settled) == CutStands()
    await exported_of(new_exporter(), device.conversation)
    await bus.ask(device.conversation, "flush")
    await new_worker(memory_store).drain(device.conversation)
    written = await objects(folder)
    assert name in written
    everything = await objects(memory_store)
    assert written == {one: data for one, data in everything.items() if one not in stored}


async def test_what_a_user_deleted_is_not_exported(device, bus, new_exporter, folder, clock):
    await device.open()
    await device.say(3)
    await set_user_tombstone(bus, device.conversation.uid, clock() + 1)
    clock.pass_s(5)
    device.session.begin_run()
    await device.say(2)
    found = await exported_of(new_exporter(), device.conversation)
    assert found.objects == 1
    assert found.seconds == pytest.approx(2 - 312 / 48_000)


async def test_runs_that_have_the_name_are_left_alone(device, new_exporter, folder):
    await device.open()
    await device.say(3)
    await exported_of(new_exporter(), device.conversation)
    [(name, data)] = (await objects(folder)).items()
    await folder.delete(name)
    await folder.put(name, b"others", content_type="x", metadata={})
    await exported_of(new_exporter(), device.conversation)
    written = await objects(folder)
    assert written.pop(name) == b"others"
    assert list(written.values()) == [data]


async def test_what_is_there_of_an_export_before_is_counted_and_not_written_again(
    device, bus, new_exporter, folder
):
    await device.open()
    await device.say(70)
    first = await exported_of(new_exporter(), device.conversation)
    assert (first.objects, first.found) == (2, 0)
    written = await objects(folder)
    await device.say(20)
    second = await exported_of(new_exporter(), device.conversation)
    assert (second.objects, second.found) == (3, 2)
    assert second.seconds == pytest.approx((await exact(bus, device.conversation)).waiting / 48_000)
    added = {name: data for name, data in (await objects(folder)).items() if name not in written}
    assert len(added) == 1
    third = await exported_of(new_exporter(), device.conversation)
    assert (third.objects, third.found, third.seconds) == (3, 3, second.seconds)
    assert await objects(folder) == written | added


async def test_a_file_that_was_taken_out_is_written_again_between_those_that_are_there(
    device, new_exporter, folder, packets_of, batches
):
    await device.open()
    await device.say(170)
    await exported_of(new_exporter(), device.conversation)
    written = await objects(folder)
    await folder.delete(sorted(written)[1])
    found = await exported_of(new_exporter(), device.conversation)
    assert (found.objects, found.found) == (len(written), len(written) - 1)
    assert await packets_of(folder) == device.sent
    assert (await objects(folder)).keys() == written.keys()


async def test_recordings_of_one_time_are_none_that_were_there(device, new_device, new_exporter, folder):
    """A device begins anew, and its clock has been put back."""
    await device.open()
    await device.say(20, end=True)
    other = new_device("another")
    await other.open()
    other.session.run_start_ms -= 10_000
    await other.say(20)
    found = await exported_of(new_exporter(), device.conversation)
    assert (found.objects, found.found) == (len(await objects(folder)), 0)
    assert found.objects > 1


async def test_letters_that_were_written_down_before_are_not_written_again(
    device, bus, new_exporter, folder, packets_of
):
    await device.open()
    for _ in range(3):
        await device.say(4)
        for entry in await bus.read(device.conversation, count=20):
            one = read_entry(device.conversation.cid, entry)
            await bus.bury(
                device.conversation,
                entry,
                reason="odd",
                first_offset=one.chunk.first_offset if one.chunk else 0,
                samples=entry.counted_samples,
                now_ms=device.session.clock(),
            )
        found = Exported(device.conversation.tag)
        await new_exporter().letters(device.conversation, (), found)
    assert (found.objects, found.found) == (3, 2)
    assert await packets_of(folder) == device.sent


async def test_the_module_says_what_is_wrong_with_its_settings(tmp_path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TAPEDECK_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pusher.export", "--directory", str(tmp_path), "--all"),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert b"TAPEDECK_REDIS_URL" in err
