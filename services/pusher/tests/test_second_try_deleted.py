"""Dead letters that are just being stored when their user deletes them, on a real Redis: nothing of them stays in the bucket."""

import pytest

from audiobus import dead_letters as dead
from audiobus.census import exact
from audiobus.deletions import set_user_tombstone
from audiostore.names import conversation_prefix


@pytest.fixture
async def letter(bus, device):
    """Of three seconds the last one lies in the dead letters, and is to be tried again."""
    await device.open()
    await device.say(3)
    buried = await device.bury(3)
    await bus.ask(device.conversation, "end")
    return buried


async def names(store, conversation):
    return [info.name async for info in store.list(conversation_prefix(*conversation))]


class _Deletes:
    """A store, while whose first put of a dead letter the user deletes all that was recorded so far."""

    def __init__(self, store, bus, conversation, before_ms, *, after):
        self._store = store
        self._delete = lambda: set_user_tombstone(bus, conversation.uid, before_ms)
        self._after = after

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def put(self, *args, **kwargs):
        if not self._after:
            await self._delete()
        info = await self._store.put(*args, **kwargs)
        await self._delete()
        return info


@pytest.mark.parametrize("after", [False, True])
async def test_it_is_deleted_while_it_is_put(*, letter, device, bus, memory_store, new_worker, clock, after):
    worker = new_worker(memory_store)
    await worker.drain(device.conversation)
    before = await names(memory_store, device.conversation)
    assert await dead.mark(bus, device.conversation, letter, clock())
    store = _Deletes(memory_store, bus, device.conversation, clock() + 1, after=after)
    await new_worker(store).drain(device.conversation)
    await worker.drain(device.conversation)
    assert await names(memory_store, device.conversation) == before
    balance = await exact(bus, device.conversation)
    assert (balance.difference, balance.waiting, balance.dead, balance.deleted) == (0, 0, 0, 48_000)


async def test_it_is_deleted_before_it_is_put(letter, device, bus, memory_store, new_worker, clock):
    worker = new_worker(memory_store)
    await worker.drain(device.conversation)
    before = await names(memory_store, device.conversation)
    assert await dead.mark(bus, device.conversation, letter, clock())
    await set_user_tombstone(bus, device.conversation.uid, clock() + 1)
    await worker.drain(device.conversation)
    assert await names(memory_store, device.conversation) == before
    balance = await exact(bus, device.conversation)
    assert (balance.dead, balance.deleted) == (0, 48_000)
