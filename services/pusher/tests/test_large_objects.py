"""Audio of more bytes than an object can have: it becomes several objects, also where a cut stands over all of it."""

import pytest

from audiobus import Cut, CutStands, failures
from audiobus.census import exact
from audiobus.cut import VERSION
from audiobus.deletions import gone
from audiostore import open_store
from audiostore.names import conversation_prefix
from pusher.cutter import Limits
from pusher.exporter import Exported, Exporter
from pusher.maker import Maker

MOST_BYTES = 60_000
LIMITS = Limits(batch_bytes=30_000)


@pytest.fixture
async def maker(keys):
    maker = Maker(keys, most_bytes=MOST_BYTES)
    yield maker
    await maker.close()


@pytest.fixture
def worker(new_worker, memory_store, maker):
    return new_worker(memory_store, limits=LIMITS, maker=maker)


@pytest.fixture
async def large(device, clock, large_packets):
    """Two hundred KB in twenty chunks of 200 ms."""
    await device.open()
    for _ in range(20):
        clock.pass_s(0.2)
        await device.append(device.session.chunk(large_packets(10, 1_000)))
    return device


@pytest.fixture
async def standing(large, bus) -> Cut:
    """Over all of it, by a build that did not look at the bytes."""
    entries = await bus.read(large.conversation, count=99)
    name = f"{conversation_prefix(*large.conversation)}1700000000.000-1700000060.000.batch.bin"
    cut = Cut(VERSION, str(entries[0].id), str(entries[-1].id), name, "standard", "end")
    assert await bus.cut(large.conversation, cut, settled=None) == CutStands()
    return cut


async def sizes(store) -> list[int]:
    return [info.size async for info in store.list("")]


async def test_a_batch_ends_before_it_is_too_large(large, bus, memory_store, worker, packets_of):
    await bus.ask(large.conversation, "end")
    await worker.drain(large.conversation)
    assert await packets_of(memory_store) == large.sent
    found = await sizes(memory_store)
    assert len(found) >= 200_000 // 30_000
    assert max(found) <= MOST_BYTES
    assert (await exact(bus, large.conversation)).difference == 0


async def test_a_cut_that_is_too_large_is_given_up_at_once_and_cut_anew(
    large, standing, bus, memory_store, worker, packets_of
):
    await bus.ask(large.conversation, "end")
    await worker.drain(large.conversation)
    assert await packets_of(memory_store) == large.sent
    assert max(await sizes(memory_store)) <= MOST_BYTES
    assert list(await gone(bus, large.conversation)) == [standing.name]
    assert await failures.read(bus, large.conversation) == failures.Failures()
    balance = await exact(bus, large.conversation)
    assert (balance.difference, balance.waiting, balance.dead) == (0, 0, 0)


async def test_a_cut_that_is_too_large_only_when_sealed_is_cut_anew_too(
    device, bus, memory_store, new_worker, keys, packets_of, large_packets
):
    await device.open()
    for _ in range(4):
        await device.append(device.session.chunk(large_packets(10, 500)))
    entries = await bus.read(device.conversation, count=99)
    name = f"{conversation_prefix(*device.conversation)}1700000000.000-1700000060.000.batch.enc"
    cut = Cut(VERSION, str(entries[0].id), str(entries[-1].id), name, "enhanced", "end")
    await bus.command("HSET", bus.keys.user(device.conversation.uid), "protection", "enhanced")
    assert await bus.cut(device.conversation, cut, settled=None) == CutStands()
    await bus.ask(device.conversation, "end")
    packets_bytes = sum(len(one) for _, one in device.sent)
    worker = new_worker(
        memory_store, limits=Limits(batch_bytes=12_000), maker=Maker(keys, most_bytes=packets_bytes)
    )
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == device.sent
    assert list(await gone(bus, device.conversation)) == [cut.name]
    await worker.maker.close()


@pytest.mark.parametrize("under_a_cut", [False, True])
async def test_an_entry_that_is_too_large_for_any_object_goes_to_the_dead_letters(
    device, bus, memory_store, worker, packets_of, large_packets, clock, metrics, under_a_cut
):
    conversation = device.conversation
    await device.open()
    await device.say(3)
    lost = device.session.chunk(large_packets(10, 7_000))
    del device.sent[-10:]
    await device.append(lost)
    await device.say(3)
    if under_a_cut:
        entries = await bus.read(conversation, count=99)
        name = f"{conversation_prefix(*conversation)}1700000000.000-1700000060.000.batch.bin"
        cut = Cut(VERSION, str(entries[0].id), str(entries[-1].id), name, "standard", "end")
        assert await bus.cut(conversation, cut, settled=None) == CutStands()
    await bus.ask(conversation, "end")
    await worker.drain(conversation)
    assert await packets_of(memory_store) == device.sent
    assert await bus.client.hkeys(bus.keys.dead(conversation)) == [str(lost.id).encode()]
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.waiting, balance.dead) == (0, 0, lost.chunk.samples)
    assert metrics.dead["unbuildable"]._value.get() == 1


async def test_such_a_cut_is_exported_in_pieces(large, standing, bus, maker, clock, tmp_path, packets_of):
    folder = open_store(f"file://{tmp_path}/out")
    exported = Exported(large.conversation.tag)
    await Exporter(bus, folder, maker, LIMITS, clock()).buffer(large.conversation, exported)
    assert await packets_of(folder) == large.sent
    assert (exported.problem, exported.unreadable) == ("", 0)
    assert exported.objects == len(await sizes(folder)) >= 200_000 // 30_000
    assert (await bus.state(large.conversation)).cut == standing.encode()
    await folder.close()
