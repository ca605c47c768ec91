"""What is noted while a batch moves, and what a mover notes itself: nothing of it stays, and it is seen to."""

import pytest

from audiobus.deletions import drop_cut, gone, unstore
from audiostore.errors import AlreadyExistsError, TransientStoreError
from pusher.homecoming import DELETED, Homecoming
from tapedeck_testing.draining.moving_home import AfterPut, Of, infos, later, names, put


class FailsOnce(Of):
    """The first delete fails."""

    failed = False

    async def delete(self, name):
        if not self.failed:
            self.failed = True
            raise TransientStoreError("503")
        await self.real.delete(name)


@pytest.fixture
async def stored_long_ago(device, conversation, bus, new_worker, second, clock):
    """All is settled in the second bucket, and the conversation was forgotten a day later."""
    await device.open()
    await device.say(5, end=True)
    await bus.ask(conversation, "end")
    worker = new_worker(second)
    await worker.drain(conversation)
    clock.pass_s(90_000)
    await worker.drain(conversation)
    assert not await on_due(bus)
    [info] = await infos(second)
    return info


async def on_due(bus):
    return await bus.client.zrange(bus.keys.due(0), 0, -1)


@pytest.fixture
def half_an_hour(bus, clock, conversation, new_worker, first, second):
    """Pushers look at the conversation as long as it is on `due`."""

    async def passes():
        for _ in range(30):
            clock.pass_s(60)
            if await on_due(bus):
                await new_worker(first, second=second).drain(conversation)

    return passes


@pytest.mark.parametrize("how", ["deleted", "given up"])
@pytest.mark.parametrize("at_home", ["nothing", "the same"])
async def test_a_name_that_is_noted_while_it_moves_has_nothing_afterwards(
    *, bus, first, second, keys, batch, conversation, clock, how, at_home
):
    """Whoever noted it deletes in both, but may have done so before the put."""
    path, data, metadata = batch
    await put(second, path, data, metadata)
    [info] = await infos(second)

    class Taken(AfterPut):
        """Another mover was faster."""

        async def put(self, name, *args, **kwargs):
            if at_home == "nothing":
                return await super().put(name, *args, **kwargs)
            await super().put(name, *args, **kwargs)
            raise AlreadyExistsError(name)

    async def meanwhile():
        if how == "deleted":
            await unstore(bus, conversation, {path: 479_688}, clock())
        else:  # by a pusher, whose cut stood again after Redis had gone back
            await bus.command("HSET", bus.keys.conv(conversation), "cut", b"cut")
            assert await drop_cut(bus, conversation, b"cut", path, clock())

    assert await Homecoming(bus, Taken(first, meanwhile), second, keys, clock).move(info) == DELETED
    assert (await names(first), await names(second)) == ([], [])
    assert set(await gone(bus, conversation)) == {path}


async def test_what_is_deleted_right_after_the_last_look_does_not_stay(
    bus, first, second, keys, batch, conversation, clock
):
    """It was brought beside other audio. Whoever deletes it listed before that, and notes it while the second bucket's copy goes."""
    path, data, metadata = batch
    await put(first, path, b"other audio of this instant", {})
    await put(second, path, data, metadata)

    class Deletes(Of):
        async def delete(self, name):
            await unstore(bus, conversation, {path: 479_688}, clock())
            await self.real.delete(name)

    [info] = await infos(second)
    assert await Homecoming(bus, first, Deletes(second), keys, clock).move(info) == DELETED
    assert (await names(first), await names(second)) == ([path], [])
    assert set(await gone(bus, conversation)) == {path, later(path)}


async def test_what_another_brought_under_another_name_is_not_taken_back(
    bus, first, second, keys, batch, conversation, clock
):
    """A cut may be settled by it. Whoever deletes it sees it in the bucket."""
    path, data, metadata = batch
    await put(second, path, data, metadata)
    [info] = await infos(second)

    class Beside(Of):
        """Another mover is faster: it found other audio under the name."""

        async def put(self, name, *args, **kwargs):
            if name == path:
                await put(self.real, path, b"other audio", {})
                await put(self.real, later(path), data, metadata)
            return await self.real.put(name, *args, **kwargs)

        async def head(self, name):
            if name == later(path):
                await unstore(bus, conversation, {path: 1}, clock())
            return await self.real.head(name)

    assert await Homecoming(bus, Beside(first), second, keys, clock).move(info) == DELETED
    assert (await names(first), await names(second)) == ([path, later(path)], [])


@pytest.mark.parametrize("known", [True, False])
async def test_what_is_taken_back_is_seen_to_although_the_conversation_is_forgotten(
    *, bus, first, second, keys, conversation, clock, stored_long_ago, half_an_hour, known
):
    path = stored_long_ago.name
    await put(first, path, b"other audio of this instant", {})
    if not known:
        await bus.client.delete(bus.keys.conv(conversation), bus.keys.audio(conversation))

    async def meanwhile():
        await unstore(bus, conversation, {path: 1}, clock())

    with pytest.raises(TransientStoreError):
        await Homecoming(bus, AfterPut(FailsOnce(first), meanwhile), second, keys, clock).move(
            stored_long_ago
        )
    assert later(path) in await names(first)
    await half_an_hour()
    assert await names(first) == []
    assert not await on_due(bus)


async def test_what_is_noted_while_a_pusher_leaves_is_seen_to(
    bus, first, second, conversation, new_worker, clock, stored_long_ago, monkeypatch, half_an_hour
):
    """Its state says nothing of it, and it takes the conversation off `due` just after it was put there."""
    worker = new_worker(first, second=second)
    leave = worker.hints.leave

    async def leaves(*args):
        await unstore(bus, conversation, {stored_long_ago.name: 1}, clock())
        return await leave(*args)

    monkeypatch.setattr(worker.hints, "leave", leaves)
    await worker.drain(conversation)
    assert await on_due(bus)
    await half_an_hour()
    assert await names(second) == []
