"""A cut that was given up stands again, because Redis has gone back: its audio was cut anew meanwhile, and lies in the bucket under other names."""

import pytest

from audiobus.census import exact
from audiobus.cut import decode_cut
from audiobus.deletions import drop_cut, gone
from audiostore.errors import TransientStoreError
from pusher.cutter import Limits


class GoneBack:
    """What Redis knows of a conversation, to be put back."""

    def __init__(self, bus, conversation) -> None:
        self._bus = bus
        self._keys = [bus.keys.conv(conversation), bus.keys.audio(conversation), bus.keys.gone(conversation)]
        self._kept: list[bytes | None] = []

    async def keep(self) -> None:
        self._kept = [await self._bus.command("DUMP", key) for key in self._keys]

    async def go_back(self) -> None:
        for key, kept in zip(self._keys, self._kept, strict=True):
            await self._bus.command("DEL", key)
            if kept is not None:
                await self._bus.command("RESTORE", key, 0, kept)


@pytest.fixture
async def standing(bus, device, memory_store, new_worker, failing_store):
    """Twenty seconds under a cut whose put failed; the cut as it stands."""
    await device.open()
    await device.say(20)
    await bus.ask(device.conversation, "flush")
    failing = failing_store(memory_store, [TransientStoreError("away")])
    await new_worker(failing).drain(device.conversation)
    state = await bus.state(device.conversation)
    assert state.cut is not None
    return state.cut


async def names_in(store) -> list[str]:
    return [info.name async for info in store.list("chunks/")]


async def given_up_and_cut_anew(bus, device, worker, raw) -> GoneBack:
    """The cut is given up, the worker stores what it may, and Redis goes back."""
    before = GoneBack(bus, device.conversation)
    await before.keep()
    assert await drop_cut(bus, device.conversation, raw, decode_cut(raw).name, 1)
    await worker.drain(device.conversation)
    await before.go_back()
    assert (await bus.state(device.conversation)).cut == raw
    return before


async def test_what_lies_under_another_name_is_settled_by_it(
    standing, bus, device, memory_store, new_worker, packets_of
):
    await given_up_and_cut_anew(bus, device, new_worker(memory_store), standing)
    [name] = await names_in(memory_store)
    assert name != decode_cut(standing).name
    await new_worker(memory_store).drain(device.conversation)
    assert await names_in(memory_store) == [name]
    assert await packets_of(memory_store) == device.sent
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.waiting) == (0, 0)


async def test_the_rest_is_cut_anew_where_some_of_it_lies_there(
    standing, bus, device, memory_store, new_worker, packets_of
):
    stored = 0

    def once() -> bool:
        nonlocal stored
        stored += 1
        return stored > 1

    worker = new_worker(memory_store, limits=Limits(batch_ms=10_000), stopping=once)
    await given_up_and_cut_anew(bus, device, worker, standing)
    assert len(await names_in(memory_store)) == 1
    await new_worker(memory_store).drain(device.conversation)
    assert decode_cut(standing).name in await gone(bus, device.conversation)
    assert await packets_of(memory_store) == device.sent
    assert len(await names_in(memory_store)) == 2
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.waiting) == (0, 0)


async def test_a_name_that_another_recording_has_is_not_given_up(
    standing, bus, device, memory_store, new_worker, packets_of
):
    name = decode_cut(standing).name
    worker = new_worker(memory_store, limits=Limits(batch_ms=10_000), stopping=iter((False, True)).__next__)
    await given_up_and_cut_anew(bus, device, worker, standing)
    await memory_store.put(name, b"another recording's", content_type="audio/ogg", metadata={})
    await new_worker(memory_store).drain(device.conversation)
    assert name not in await gone(bus, device.conversation)
    assert await memory_store.get(name) == b"another recording's"
    assert (await exact(bus, device.conversation)).waiting == 0


async def test_a_process_that_looked_in_this_history_looks_no_more(
    device, bus, memory_store, new_worker, failing_store
):
    class Listed:
        def __init__(self, store) -> None:
            self._store, self.listings = store, 0

        def __getattr__(self, name):
            return getattr(self._store, name)

        def list(self, *args):
            self.listings += 1
            return self._store.list(*args)

    await device.open()
    await device.say(20)
    await bus.ask(device.conversation, "flush")
    listed = Listed(failing_store(memory_store, [TransientStoreError("away") for _ in range(3)]))
    worker = new_worker(listed)
    await worker.drain(device.conversation)
    before = listed.listings
    for _ in range(3):
        worker.retries.worked(device.conversation)
        await worker.drain(device.conversation)
    assert listed.listings == before
    assert (await exact(bus, device.conversation)).waiting == 0


async def test_what_may_be_taken_away_again_settles_nothing(
    standing, bus, device, memory_store, new_worker, packets_of
):
    """All of it lies there as the rest of what is cut out, which is announced and not in its place."""
    await given_up_and_cut_anew(bus, device, new_worker(memory_store), standing)
    [rest] = await names_in(memory_store)
    await bus.command("HSET", bus.keys.replacing(device.conversation), rest, "7:9")
    await new_worker(memory_store).drain(device.conversation)
    assert (await exact(bus, device.conversation)).waiting == 0
    await memory_store.delete(rest)
    assert await packets_of(memory_store) == device.sent


async def test_nor_does_a_cut_give_way_to_it(standing, bus, device, memory_store, new_worker, packets_of):
    worker = new_worker(memory_store, limits=Limits(batch_ms=10_000), stopping=iter((False, True)).__next__)
    await given_up_and_cut_anew(bus, device, worker, standing)
    [rest] = await names_in(memory_store)
    await bus.command("HSET", bus.keys.replacing(device.conversation), rest, "7:9")
    await new_worker(memory_store).drain(device.conversation)
    assert await gone(bus, device.conversation) == {}
    await memory_store.delete(rest)
    assert await names_in(memory_store) == [decode_cut(standing).name]
    assert await packets_of(memory_store) == device.sent


async def test_what_is_announced_during_the_look_before_the_put_is_not_found(
    standing, bus, device, memory_store, new_worker, packets_of
):
    """It took no place of anything when it was seen beside a first bucket that nobody had looked into."""
    await given_up_and_cut_anew(bus, device, new_worker(memory_store), standing)
    [rest] = await names_in(memory_store)

    class Announced:
        listings = 0

        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def list(self, *args):
            self.listings += 1
            if self.listings == 2:
                await bus.command("HSET", bus.keys.replacing(device.conversation), rest, "7:9")
            async for info in memory_store.list(*args):
                yield info

    announced = Announced()
    await new_worker(announced).drain(device.conversation)
    assert announced.listings == 2
    assert (await exact(bus, device.conversation)).waiting == 0
    await memory_store.delete(rest)
    assert await packets_of(memory_store) == device.sent
