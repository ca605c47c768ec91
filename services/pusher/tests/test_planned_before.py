"""A pusher that is stopped between its look and its cut, past its lease: what it planned rests on what is no longer so, and is planned anew.

Each story needs one that is stopped and one that is killed, or a failover.
"""

import msgspec
import pytest

from audiobus import Bus
from audiobus import dead_letters as dead
from audiobus.census import exact
from audiobus.cut import decode_cut
from audiobus.deletions import drop_cut, gone, set_user_tombstone
from audiobus.errors import BusUnavailableError


class Elsewhere:
    """A bus or a store, but for some of its methods."""

    def __init__(self, real, **methods) -> None:
        self._real = real
        self.__dict__.update(methods)

    def __getattr__(self, name):
        return getattr(self._real, name)


async def dies(*_args, **_fields):
    raise BusUnavailableError("killed here")


@pytest.fixture
async def killed(redis_url, prefix):
    """The bus of a process that is killed before it calls `method`."""
    opened = []

    def make(method: str) -> Bus:
        bus = Bus(redis_url, prefix=prefix)
        opened.append(bus)
        setattr(bus, method, dies)
        return bus

    yield make
    for bus in opened:
        await bus.close()


@pytest.fixture
def stopped(redis_url, prefix, bus, conversation):
    """Runs a story while a pusher is about to write its first cut down, and its lease has run out."""

    async def drain(make_worker, story):
        async with Bus(redis_url, prefix=prefix) as its_bus:
            write = its_bus.cut

            async def cut(*args, **fields):
                its_bus.cut = write
                await bus.client.delete(bus.keys.lease(conversation))
                await story()
                return await write(*args, **fields)

            its_bus.cut = cut
            await make_worker(its_bus).drain(conversation)

    return drain


@pytest.fixture
def unreadable(device, packets):
    """Appends good audio that this build cannot read: of a later version. Its id."""

    async def append():
        one = device.session.chunk(packets(50))
        good = one.chunk.encode()
        await device.append(one, good[:1] + bytes([good[1] + 1]) + good[2:])
        return one.id

    return append


async def drain_on(worker, clock, conversation):
    for _ in range(4):
        clock.pass_s(60)
        await worker.drain(conversation)


async def test_a_burial_that_a_failover_loses_before_the_cut(
    *, bus, device, conversation, new_worker, memory_store, stopped, unreadable, packets_of, clock
):
    """The entry is back, under a cut that was planned without it: `finish` would take it along, and count it as stored."""
    await device.open()
    await device.say(3)
    entry_id = await unreadable()
    await device.say(3)
    await bus.ask(conversation, "flush")
    keys = (bus.keys.conv(conversation), bus.keys.audio(conversation))
    replica = {key: await bus.client.dump(key) for key in keys}

    async def fails_over():
        for key, data in replica.items():
            await bus.client.restore(key, 0, data, replace=True)
        await bus.client.delete(bus.keys.dead(conversation))

    await stopped(lambda its_bus: new_worker(memory_store, bus=its_bus), fails_over)
    await drain_on(new_worker(memory_store), clock, conversation)
    assert [one.id async for one in dead.look(bus, conversation)] == [str(entry_id)]
    assert len(await packets_of(memory_store)) == 300
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.waiting, balance.dead) == (0, 0, 48_000)


async def test_what_was_buried_is_not_seen_again_in_the_same_look(
    device, bus, conversation, new_worker, memory_store, unreadable, packets_of
):
    """Several pages, with something to bury in each: what is cut was read after that."""
    await device.open()
    buried = []
    for _ in range(3):
        await device.say(20, chunk_s=0.5)
        buried += [str(await unreadable()), str(await unreadable())]
    await device.say(2)
    await bus.ask(conversation, "flush")
    await new_worker(memory_store).drain(conversation)
    assert [one.id async for one in dead.look(bus, conversation)] == buried
    assert len(await packets_of(memory_store)) == 62 * 50
    assert (await bus.state(conversation)).fence == 6


async def test_an_object_that_was_left_out_for_is_given_up(
    *, bus, device, conversation, new_worker, memory_store, killed, packets_of, clock
):
    """What it holds already is left out of the cut; with its name goes the object, and nothing else has what was left out."""
    await device.open()
    await device.say(61)
    await bus.ask(conversation, "flush")
    real = memory_store
    listed = 0

    async def objects(*args, **fields):
        nonlocal listed
        listed += 1
        if listed == 1:
            # Stopped before it lists, past its lease. Another one cuts and puts, and is killed before it finishes.
            await bus.client.delete(bus.keys.lease(conversation))
            with pytest.raises(BusUnavailableError):
                await new_worker(real, bus=killed("finish"), holder="killed").drain(conversation)
            await bus.client.delete(bus.keys.lease(conversation))
        async for info in real.list(*args, **fields):
            yield info
        if (raw := (await bus.state(conversation)).cut) is not None:
            # A third one, of another build, cannot make that batch.
            assert await drop_cut(bus, conversation, raw, decode_cut(raw).name, clock())

    await new_worker(Elsewhere(real, list=objects), holder="stopped").drain(conversation)
    await bus.client.delete(bus.keys.lease(conversation))
    assert listed
    assert await gone(bus, conversation)
    await drain_on(new_worker(real), clock, conversation)
    assert await packets_of(real) == device.sent
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.waiting) == (0, 0)


async def test_what_its_user_deleted_left_the_middle_of_it(
    *, bus, device, conversation, new_worker, memory_store, killed, stopped, batches, clock
):
    await device.open()
    deleted = None
    for number, one in enumerate(device.session.speech(61)):
        if number == 30:
            # Its machine's clock is behind: another `listen` took over for a moment.
            chunk = msgspec.structs.replace(one.chunk, at_ms=one.chunk.at_ms - 40_000)
            await device.append(one, chunk.encode())
            deleted = one
        else:
            await device.append(one)
    before_ms = deleted.chunk.at_ms - 35_000

    async def is_expunged():
        await set_user_tombstone(bus, conversation.uid, before_ms)
        with pytest.raises(BusUnavailableError):
            await new_worker(memory_store, bus=killed("cut"), holder="killed").drain(conversation)
        assert deleted.id not in [entry.id for entry in await bus.read(conversation, count=99)]
        await bus.client.delete(bus.keys.lease(conversation))

    await stopped(lambda its_bus: new_worker(memory_store, bus=its_bus, holder="stopped"), is_expunged)
    await bus.ask(conversation, "flush")
    await drain_on(new_worker(memory_store), clock, conversation)
    held = [span for batch in await batches(memory_store) for span in batch.spans]
    first, end = deleted.chunk.first_offset, deleted.id.offset
    assert not any(one.first_offset < end and first < one.end_offset for one in held)
    assert sum(len(one.packets) for one in held) == 60 * 50
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.waiting) == (0, 0)
