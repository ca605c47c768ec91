"""What a batch was found in at home may be given up, with its cut, while the second bucket's copy goes."""

import dataclasses

import pytest

from audiobus import Bus
from audiobus.cut import VERSION, Cut, decode_cut
from audiobus.deletions import unstore
from audiobus.errors import BusUnavailableError
from audiostore.batch import read_batch
from audiostore.errors import ChecksumError
from audiostore.paired_store import PairedStore
from pusher.cutter import Limits
from pusher.homecoming import EARLY, FOUND, MOVED, Homecoming
from tapedeck_testing.draining.moving_home import AfterPut, Of, infos, later, names, put

SMALL = Limits(batch_ms=10_000)


class Garbled(Of):
    """What comes of one object is garbled on this pusher's line."""

    def __init__(self, real, path) -> None:
        super().__init__(real)
        self.path = path

    async def head(self, name):
        return dataclasses.replace(await self.real.head(name), claimed=True)

    async def get(self, name):
        if name == self.path:
            raise ChecksumError("the bytes that came do not have the checksum that the bucket names")
        return await self.real.get(name)


class BeforeDelete(Of):
    """Something happens right before the next object goes."""

    def __init__(self, real, then) -> None:
        super().__init__(real)
        self.then = then

    async def delete(self, name):
        then, self.then = self.then, None
        if then:
            await then()
        await self.real.delete(name)


async def test_what_a_standing_cut_speaks_of_is_not_relied_on(
    *, bus, redis_url, prefix, device, conversation, new_worker, first, second, keys, clock
):
    """One pusher cut the audio anew, for the first, and died before it settled that; another finds it garbled, and settles by the second."""
    await device.open()
    await device.say(20)
    await bus.ask(conversation, "flush")
    kept = {
        key: await bus.client.dump(key) for key in (bus.keys.conv(conversation), bus.keys.audio(conversation))
    }
    await new_worker(second).drain(conversation)
    [info] = await infos(second)
    for key, value in kept.items():  # Redis goes back
        await bus.client.restore(key, 0, value, replace=True)
    async with Bus(redis_url, prefix=prefix) as dying:
        finish = dying.finish

        async def dies(*args, **kwargs):
            if kwargs["last"] == device.session.newest:
                raise BusUnavailableError("killed")
            return await finish(*args, **kwargs)

        dying.finish = dies
        with pytest.raises(BusUnavailableError):
            await new_worker(first, bus=dying, holder="dying", limits=SMALL).drain(conversation)
    await bus.client.delete(bus.keys.lease(conversation))
    cut = decode_cut((await bus.state(conversation)).cut)
    assert cut.name in await names(first)
    assert cut.name != info.name

    async def settles():
        await new_worker(Garbled(first, cut.name), second=second, limits=SMALL).drain(conversation)
        assert (await bus.state(conversation)).waiting_samples == 0

    outcome = await Homecoming(bus, first, BeforeDelete(second, settles), keys).move(info)
    if outcome == EARLY:
        await settles()
        await Homecoming(bus, first, second, keys).move(info)
    for _ in range(3):
        clock.pass_s(20)
        await new_worker(first, second=second).drain(conversation)
    both, held = PairedStore(first, second), set()
    for one in await infos(both):
        batch = read_batch(await both.get(one.name))
        held |= {(span.epoch, packet) for span in batch.spans for packet in span.packets}
    assert len(held) == len(device.sent)
    assert outcome == EARLY


@pytest.fixture
async def beside(first, second, batch):
    """A batch of the second bucket that lies at home under the next name, its own being another's; what the second says of it."""
    path, data, metadata = batch
    await put(first, later(path), data, metadata)
    await put(second, path, data, metadata)
    return await second.head(path)


async def test_until_the_cut_is_settled(bus, first, second, keys, beside, conversation):
    cut = Cut(VERSION, "1-0", "1-100", later(beside.name), "standard", "size").encode()
    await bus.command("HSET", bus.keys.conv(conversation), "cut", cut)
    home = Homecoming(bus, first, second, keys)
    assert await home.move(beside) == EARLY
    assert await names(second) == [beside.name]
    await bus.command("HDEL", bus.keys.conv(conversation), "cut")
    assert await home.move(beside) == FOUND
    assert (await names(first), await names(second)) == ([later(beside.name)], [])


async def test_nor_what_is_given_up_while_it_is_looked_at(bus, first, second, keys, beside, conversation):
    class GivenUp(Of):
        async def get(self, name):
            await unstore(bus, conversation, {name: 0}, 0)
            return await self.real.get(name)

    class Claims(GivenUp):
        async def head(self, name):
            return dataclasses.replace(await self.real.head(name), claimed=True)

    assert await Homecoming(bus, Claims(first), second, keys).move(beside) == EARLY
    assert await names(second) == [beside.name]


async def test_what_is_announced_is_not_at_home(bus, first, second, keys, beside, conversation):
    """The rest of what is cut out, with all its runs: it is taken away again where that comes to nothing."""
    await bus.command("HSET", bus.keys.replacing(conversation), later(beside.name), "7:9")
    assert await Homecoming(bus, first, second, keys).move(beside) == MOVED
    assert (await names(first), await names(second)) == ([beside.name, later(beside.name)], [])


async def test_nor_what_is_announced_while_it_is_looked_at(bus, first, second, keys, beside, conversation):
    class Announced(Of):
        async def list(self, *args, **kwargs):
            await bus.command("HSET", bus.keys.replacing(conversation), later(beside.name), "7:9")
            async for info in self.real.list(*args, **kwargs):
                yield info

    assert await Homecoming(bus, Announced(first), second, keys).move(beside) == EARLY
    assert await names(second) == [beside.name]


async def test_nor_is_what_itself_is_announced_moved(bus, first, second, keys, batch, conversation):
    path, _, _ = batch
    await put(second, *batch)
    await bus.command("HSET", bus.keys.replacing(conversation), path, "7:9")
    home = Homecoming(bus, first, second, keys)
    assert await home.move(await second.head(path)) == EARLY
    assert (await names(first), await names(second)) == ([], [path])


@pytest.mark.parametrize("during", [False, True])
async def test_nor_is_anything_brought_under_such_a_name(
    *, bus, first, second, keys, batch, conversation, during
):
    path, _, _ = batch
    await put(first, path, b"another's", {})
    await put(second, *batch)

    async def announced():
        await bus.command("HSET", bus.keys.replacing(conversation), later(path), "7:9")

    if during:
        home = Homecoming(bus, AfterPut(first, announced), second, keys)
        assert await home.move(await second.head(path)) == EARLY
        assert await names(second) == [path]
    else:
        await announced()
        assert await Homecoming(bus, first, second, keys).move(await second.head(path)) == MOVED
        assert (await names(first), await names(second)) == ([path, later(path, 2)], [])


async def test_nor_the_next_name_where_its_own_is_another_recordings(
    bus, first, second, keys, batch, conversation
):
    """What says nothing of its runs is not searched for, but seen when it is brought."""
    path, _, _ = batch
    await put(first, path, b"another's", {})
    for bucket, name in ((first, later(path)), (second, path)):
        await put(bucket, name, b"says nothing", {})
    cut = Cut(VERSION, "1-0", "1-100", later(path), "standard", "size").encode()
    await bus.command("HSET", bus.keys.conv(conversation), "cut", cut)
    home = Homecoming(bus, first, second, keys)
    info = await second.head(path)
    assert await home.move(info) == EARLY
    assert await names(second) == [path]
    await bus.command("HDEL", bus.keys.conv(conversation), "cut")
    assert await home.move(info) == FOUND
    assert (await names(first), await names(second)) == ([path, later(path)], [])


async def test_what_only_ends_or_begins_there_is_not_waited_for(
    bus, first, second, keys, next_batch, conversation
):
    """The next batch of a conversation that goes on is nearly always cut while this one moves."""
    batch, after = next_batch(), next_batch()
    for bucket in (first, second):
        await put(bucket, *batch)
    await put(first, *after)
    cut = Cut(VERSION, "1-0", "1-100", after[0], "standard", "size").encode()
    await bus.command("HSET", bus.keys.conv(conversation), "cut", cut)
    assert await Homecoming(bus, first, second, keys).move(await second.head(batch[0])) == FOUND
