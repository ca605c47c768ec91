"""The marks by which the mover sees whether two addresses mean one bucket: none stays, and none that is gone is believed."""

import asyncio

import pytest

from audiostore import open_store
from audiostore.errors import StoreConfigurationError, TransientStoreError
from audiostore.names import CONTENT_TYPE, BatchName
from pusher.mover import MARK, Mover
from servicekit.ending import end


@pytest.fixture
def new_mover(bus, new_buckets, keys, metrics):
    def make(first, second):
        return Mover(bus, new_buckets(first, second), keys, metrics, "pusher-1")

    return make


@pytest.fixture
async def first():
    return open_store("memory:")


@pytest.fixture
async def second():
    """One that has a batch."""
    store = open_store("memory:")
    name = BatchName("u", "c", 1000, 1500).path
    await store.put(name, b"audio", content_type=CONTENT_TYPE, metadata={})
    return store


async def names(store, prefix=""):
    return [info.name async for info in store.list(prefix)]


class Waits:
    """A store whose heads, and deletes, wait until they are let through."""

    def __init__(self, real) -> None:
        self._real = real
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def head(self, name):
        self.reached.set()
        await self.go.wait()
        return await self._real.head(name)

    async def delete(self, name):
        await self.go.wait()
        await self._real.delete(name)


async def test_what_pushers_left_that_were_ended_in_the_middle_is_swept(new_mover, first, second):
    for _ in range(3):
        waits, slow = Waits(first), Waits(second)
        mover = new_mover(waits, slow)
        turn = asyncio.create_task(mover._turn(mover.buckets.second))
        await waits.reached.wait()
        await end([turn])
    assert await names(second, MARK)
    mover = new_mover(first, second)
    assert await mover.sweep(mover.buckets.second) == 0
    assert await names(second) == []
    assert len(await names(first)) == 1


async def test_where_both_are_one_they_are_swept_too(new_mover, second):
    await second.put(f"{MARK}/old", b"", content_type="text/plain", metadata={})
    mover = new_mover(second, second)
    with pytest.raises(StoreConfigurationError, match="the same bucket"):
        await mover.sweep(mover.buckets.second)
    assert await names(second, MARK) == []
    assert len(await names(second)) == 1


async def test_a_mark_that_is_gone_proves_nothing(new_mover, second):
    """Both are one bucket, and another pusher sweeps at the wrong moment: nothing must be moved, as it would be deleted."""
    waits = Waits(second)
    mover = new_mover(waits, second)
    sweeping = asyncio.create_task(mover.sweep(mover.buckets.second))
    await waits.reached.wait()
    [mark] = await names(second, MARK)
    await second.delete(mark)
    waits.go.set()
    with pytest.raises(TransientStoreError, match="looked at again"):
        await sweeping
    assert len(await names(second)) == 1
