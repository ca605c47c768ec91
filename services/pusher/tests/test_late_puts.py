"""A pusher that was paused before its put for longer than anybody sweeps: what was deleted meanwhile does not come back."""

import asyncio
from dataclasses import replace

import pytest

from audiobus import Cut
from audiobus import dead_letters as dead
from audiobus.census import exact
from audiobus.cut import VERSION, decode_cut
from audiobus.deletions import discard, drop_cut, gone, set_user_tombstone, unstore
from audiostore.errors import TransientStoreError
from audiostore.key_ring import KeyRing
from audiostore.names import BatchName
from pusher.batch_builder import build
from pusher.store_put import Outcome, Prepared, store_then_finish
from pusher.sweeper import UNTIL_MS


class Paused:
    """A store whose put is about to be sent; `loses` the reply, too."""

    def __init__(self, real, *, loses: bool = False) -> None:
        self._real = real
        self._loses = loses
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, *args, **kwargs):
        self.reached.set()
        await self.go.wait()
        info = await self._real.put(*args, **kwargs)
        if self._loses:
            raise TransientStoreError("the reply was lost")
        return info


async def names(store):
    return [info.name async for info in store.list("chunks/")]


@pytest.fixture
def paused(bus, device, new_worker):
    """Runs a story while a pusher stands before its put, which it makes after that."""

    async def run(store, story, **fields):
        paused = Paused(store, **fields)
        zombie = asyncio.create_task(new_worker(paused, holder="zombie").drain(device.conversation))
        await paused.reached.wait()
        await bus.client.delete(bus.keys.lease(device.conversation))  # it ran out
        await story()
        paused.go.set()
        await zombie

    return run


@pytest.fixture
def sweep_until_over(bus, device, clock):
    async def sweep(worker):
        begun = clock()
        while clock() < begun + UNTIL_MS + 120_000:
            clock.pass_s(60)
            await worker.drain(device.conversation)
        assert set((await gone(bus, device.conversation)).values()) == {0}

    return sweep


@pytest.mark.parametrize("loses", [False, True], ids=["heard", "reply lost"])
async def test_a_part_that_was_deleted(
    *, device, bus, store, new_worker, clock, paused, sweep_until_over, loses
):
    await device.open()
    await device.say(61)
    living = new_worker(store, holder="living")

    async def story():
        await living.drain(device.conversation)
        deleted = await names(store)
        await unstore(bus, device.conversation, dict.fromkeys(deleted, 1), clock())
        for name in deleted:
            await store.delete(name)
        await sweep_until_over(living)

    await paused(store, story, loses=loses)
    assert not set(await names(store)) & set(await gone(bus, device.conversation))


async def test_a_cut_that_was_given_up(
    device, bus, store, new_worker, clock, paused, sweep_until_over, packets_of
):
    await device.open()
    await device.say(61)
    living = new_worker(store, holder="living")

    async def story():
        state = await bus.state(device.conversation)
        name = decode_cut(state.cut).name
        assert await drop_cut(bus, device.conversation, state.cut, name, clock())
        await sweep_until_over(living)

    await paused(store, story)
    assert await packets_of(store) == device.sent
    assert (await exact(bus, device.conversation)).difference == 0


async def test_what_a_user_deleted(device, bus, store, new_worker, clock, paused, sweep_until_over):
    await device.open()
    await device.say(61)
    living = new_worker(store, holder="living")

    async def story():
        await set_user_tombstone(bus, device.conversation.uid, clock() + 1)
        await sweep_until_over(living)

    await paused(store, story)
    assert await names(store) == []
    assert (await exact(bus, device.conversation)).stored == 0


async def test_what_a_user_deleted_since_the_cut_and_nobody_swept(
    device, bus, store, new_worker, clock, paused
):
    """The one that puts it is the only one there is: it finds the tombstone after its put."""
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "flush")

    async def story():
        await set_user_tombstone(bus, device.conversation.uid, clock() + 1)

    await paused(store, story)
    await new_worker(store, holder="living").drain(device.conversation)
    assert await names(store) == []
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.stored, balance.deleted) == (0, 0, balance.received)


@pytest.mark.parametrize("loses", [False, True], ids=["heard", "reply lost"])
async def test_a_letter_that_was_dropped(
    *, device, bus, store, new_worker, clock, paused, sweep_until_over, loses
):
    await device.open()
    await device.say(3)
    buried = await device.bury(3)
    await bus.ask(device.conversation, "end")
    living = new_worker(store, holder="living")
    await living.drain(device.conversation)
    stored = await names(store)
    assert await dead.mark(bus, device.conversation, buried, clock())

    async def story():
        assert await discard(bus, device.conversation, buried, clock())
        await sweep_until_over(living)

    await paused(store, story, loses=loses)
    assert await names(store) == stored


async def test_a_part_that_was_deleted_while_its_cut_stood_for_long(
    device, bus, store, new_worker, clock, sweep_until_over
):
    """All pushers died between put and `finish`, and came back a quarter of an hour later."""
    await device.open()
    await device.say(61)

    class Dies(BaseException):
        """The process was killed here."""

    class DiesBeforeFinish:
        def __getattr__(self, name):
            return getattr(bus, name)

        async def finish(self, *_args, **_kwargs):
            raise Dies

    with pytest.raises(Dies):
        await new_worker(store, bus=DiesBeforeFinish()).drain(device.conversation)
    await bus.client.delete(bus.keys.lease(device.conversation))
    [deleted] = await names(store)
    await unstore(bus, device.conversation, {deleted: 1}, clock())
    await store.delete(deleted)
    clock.pass_s(UNTIL_MS / 1000 + 300)
    living = new_worker(store)
    for _ in range(3):
        await living.drain(device.conversation)
        clock.pass_s(60)
    assert deleted not in await names(store)
    assert (await gone(bus, device.conversation)) == {deleted: 0}
    assert (await exact(bus, device.conversation)).difference == 0


async def test_a_put_that_succeeds_asks_nothing_more(device, bus, store, clock, conversation):
    """The look at the names is for those whose cut stands no more."""
    await device.open()
    entries = list(device.session.speech(5))
    for one in entries:
        await device.append(one)
    built = build(conversation.cid, entries, None)
    span = built.batch.spans[0]
    name = BatchName(*conversation, span.start_ms, span.end_ms).path
    cut = Cut(VERSION, f"{span.epoch}-0", str(entries[-1].id), name, "standard", "end")
    await bus.cut(conversation, cut, settled=None)
    prepared = Prepared(conversation, cut, cut.encode(), built, KeyRing.empty)
    asked = []

    class Noted:
        def __getattr__(self, name):
            asked.append(name)
            return getattr(bus, name)

    assert (
        await store_then_finish(Noted(), store, replace(prepared, just_cut=True), clock()) is Outcome.STORED
    )
    assert asked == ["marks", "finish"]
