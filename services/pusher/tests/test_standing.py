"""Entries that are poison, also under a cut that stands: the rest goes on, and nothing of them is lost."""

import pytest

from audiobus import Cut, CutStands, failures
from audiobus.census import exact
from audiobus.cut import VERSION
from audiobus.deletions import drop_cut, gone
from audiostore.batch import Batch, batch_file
from audiostore.errors import TransientStoreError
from audiostore.names import conversation_prefix
from pusher import canary, maker
from pusher.arrived import read_entry
from pusher.errors import BuildError
from pusher.standing import GIVEN_UP_AFTER


async def cut_all(bus, conversation) -> Cut:
    """Written down by a build that could read all of it."""
    entries = await bus.read(conversation, count=99)
    name = f"{conversation_prefix(*conversation)}1700000000.000-1700000060.000.batch.bin"
    cut = Cut(VERSION, str(entries[0].id), str(entries[-1].id), name, "standard", "size")
    assert await bus.cut(conversation, cut, settled=None) == CutStands()
    return cut


@pytest.fixture
async def poisoned(bus, device, packets):
    """Five seconds, of which the third does not parse in this build."""
    await device.open()
    await device.say(2)
    lost = device.session.chunk(packets(50))
    device.sent[-50:] = []
    await device.append(lost, b"\x9d\x02 of a later version")
    await device.say(2)
    return lost


async def test_a_cut_over_an_entry_that_does_not_parse_is_given_up_after_some_tries(
    poisoned, device, bus, memory_store, new_worker, packets_of, clock
):
    conversation = device.conversation
    cut = await cut_all(bus, conversation)
    worker = new_worker(memory_store)
    for number in range(1, GIVEN_UP_AFTER + 1):
        await worker.drain(conversation)
        failed = await failures.read(bus, conversation)
        assert (failed.count, "version 2" in failed.why) == (number, True)
        assert (await bus.state(conversation)).cut == cut.encode()
        clock.pass_s(10)
    await bus.ask(conversation, "end")
    await worker.drain(conversation)
    assert await packets_of(memory_store) == device.sent
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.dead, balance.waiting) == (0, 48_000, 0)
    assert (await bus.stored(conversation, poisoned.id.epoch)).dead_offset == poisoned.chunk.first_offset
    assert await failures.read(bus, conversation) == failures.Failures()
    assert list(await gone(bus, conversation)) == [cut.name]


async def test_a_bucket_that_was_away_gives_no_cut_up(
    device, bus, memory_store, new_worker, failing_store, packets_of, clock, monkeypatch
):
    """Its failures count for the conversation; that its object could not be made even once is another matter."""
    conversation = device.conversation
    await device.open()
    await device.say(3)
    cut = await cut_all(bus, conversation)
    away = [TransientStoreError("away") for _ in range(2 * GIVEN_UP_AFTER)]
    worker = new_worker(failing_store(memory_store, away))
    build, fails = maker.build, [BuildError("of another build")]

    def made(*args, **kwargs):
        if fails and not away:
            raise fails.pop()
        return build(*args, **kwargs)

    monkeypatch.setattr(maker, "build", made)
    while away:
        await worker.drain(conversation)
        clock.pass_s(600)
    assert (await failures.read(bus, conversation)).count > GIVEN_UP_AFTER
    await worker.drain(conversation)
    assert "of another build" in (await failures.read(bus, conversation)).why
    assert (await bus.state(conversation)).cut == cut.encode()
    clock.pass_s(600)
    await worker.drain(conversation)
    assert await packets_of(memory_store) == device.sent
    assert await gone(bus, conversation) == {}


async def test_what_another_build_put_meanwhile_goes_again(
    poisoned, device, bus, memory_store, new_worker, packets_of, clock
):
    """It finishes no more: its cut was given up. What it put is removed, for all of it is stored under other names."""
    conversation = device.conversation
    cut = await cut_all(bus, conversation)
    worker = new_worker(memory_store)
    for _ in range(GIVEN_UP_AFTER):
        await worker.drain(conversation)
        clock.pass_s(10)
    arrived = [read_entry(conversation.cid, entry) for entry in (await bus.read(conversation, count=3))[:2]]
    spans = tuple(one.audio for one in arrived if one.audio)
    of_it = batch_file(Batch(conversation.cid, "opus", 16_000, 1, (), spans))
    await memory_store.put(cut.name, of_it.data, content_type="x", metadata=of_it.metadata)
    await bus.ask(conversation, "end")
    await worker.drain(conversation)
    assert not await bus.finish(
        conversation, cut.encode(), last=cut.last_id, preroll=None, samples=1, ends={}, now_ms=clock()
    )
    for _ in range(3):
        clock.pass_s(60)
        await worker.drain(conversation)
    assert cut.name not in [info.name async for info in memory_store.list("")]
    assert await packets_of(memory_store) == device.sent
    assert (await exact(bus, conversation)).difference == 0


async def test_only_the_very_cut_is_given_up(device, bus, clock):
    await device.open()
    await device.say(1)
    cut = await cut_all(bus, device.conversation)
    assert not await drop_cut(bus, device.conversation, b"another", cut.name, clock())
    assert (await bus.state(device.conversation)).cut == cut.encode()
    assert await gone(bus, device.conversation) == {}
    assert await drop_cut(bus, device.conversation, cut.encode(), cut.name, clock())
    assert not await drop_cut(bus, device.conversation, cut.encode(), cut.name, clock())
    assert (await bus.state(device.conversation)).cut is None


@pytest.fixture
def defect(monkeypatch):
    """Makes this build break over any entry that is named."""
    build = maker.build
    fatal = set()

    def broken(conversation_id, arrived, *args, **kwargs):
        if any(one.id in fatal for one in arrived):
            raise KeyError("nobody foresaw this")
        return build(conversation_id, arrived, *args, **kwargs)

    monkeypatch.setattr(maker, "build", broken)
    return fatal


async def test_an_entry_that_meets_a_defect_is_found_and_buried_and_the_rest_goes_on(
    defect, device, bus, memory_store, new_worker, packets_of, metrics
):
    await device.open()
    await device.say(9)
    await bus.ask(device.conversation, "end")
    entries = await bus.read(device.conversation, count=99)
    defect.add(entries[6].id)
    await new_worker(memory_store).drain(device.conversation)
    stored = await packets_of(memory_store)
    assert len(stored) == 400
    assert set(stored) < set(device.sent)
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.dead) == (0, entries[6].counted_samples)
    assert metrics.dead["unbuildable"]._value.get() == 1


async def test_a_build_that_breaks_over_everything_buries_nothing(
    defect, device, bus, memory_store, new_worker, packets_of, monkeypatch, clock
):
    await device.open()
    await device.say(3)
    await bus.ask(device.conversation, "end")
    defect |= {entry.id for entry in await bus.read(device.conversation, count=99)}
    monkeypatch.setattr(canary, "build", maker.build)
    defect.add(canary._good()[0].id)
    worker = new_worker(memory_store)
    await worker.drain(device.conversation)
    failed = await failures.read(bus, device.conversation)
    assert (failed.count, "makes no files" in failed.why) == (1, True)
    assert (await exact(bus, device.conversation)).dead == 0
    defect.clear()
    clock.pass_s(10)
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == device.sent


def test_the_canary_sings():
    assert canary.sings()
