"""The marks by which the mover sees whether two addresses mean one bucket: none stays, and none that is gone is believed."""

import asyncio

import pytest

from audiostore import open_store
from audiostore.errors import StoreConfigurationError, TransientStoreError
from audiostore.names import CONTENT_TYPE, BatchName
from pusher import mover as module
from pusher.circuit import OPENS_AFTER
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


class Address:
    """A store behind whose address another one may come to lie; perhaps just before so many marks were put."""

    def __init__(self, real, *, other=None, at_mark=0) -> None:
        self.real = real
        self._other, self._at_mark = other, at_mark
        self.marks = 0

    def __getattr__(self, name):
        return getattr(self.real, name)

    async def put(self, name, data, **kwargs):
        self.marks += name.startswith(MARK)
        if self._other is not None and self.marks == self._at_mark:
            self.real = self._other
        return await self.real.put(name, data, **kwargs)


@pytest.mark.parametrize("which", ["first", "second"])
@pytest.mark.parametrize("noticed", [True, False])
async def test_a_bucket_that_comes_back_as_the_other_one_loses_nothing(
    *, new_mover, first, second, clock, which, noticed
):
    """It was away, mounted wrongly since, and takes objects: nothing shows that it is another one."""
    addresses = {"first": Address(first), "second": Address(second)}
    mover = new_mover(*addresses.values())
    assert await mover.sweep(mover.buckets.second) == 0
    bucket = getattr(mover.buckets, which)
    if noticed:
        for _ in range(OPENS_AFTER):
            bucket.circuit.failed(clock(), clock(), "away", operators=False)
    [one] = [address for name, address in addresses.items() if name != which]
    addresses[which].real = one.real
    if which == "first":
        await second.put(
            BatchName("u", "c", 1000, 1500).path, b"audio", content_type=CONTENT_TYPE, metadata={}
        )
    if noticed:
        await bucket.put("chunks/.try", b"x", content_type="text/plain", metadata={})
        await bucket.delete("chunks/.try")
    assert bucket.circuit.closed
    kept = await names(one.real)
    assert len(kept) == 1
    for _ in range(2):
        with pytest.raises(StoreConfigurationError, match="the same bucket"):
            await mover.sweep(mover.buckets.second)
        assert await names(one.real) == kept


@pytest.mark.parametrize("noticed", [True, False])
async def test_a_long_sweep_looks_again(*, new_mover, first, second, clock, monkeypatch, noticed):
    """Anew after a while, and at once where either was away meanwhile."""
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 600.0 if noticed else 0.0)
    monkeypatch.setattr(module, "AT_ONCE", 1)
    for number in range(20):
        name = BatchName("u", f"d{number:02}", 1000, 1500).path
        await second.put(name, b"audio", content_type=CONTENT_TYPE, metadata={})
    address = Address(second, other=first, at_mark=2 if noticed else 5)

    class First(Address):
        async def put(self, name, data, **kwargs):
            if noticed and "/d03/" in name:  # away, and back by the time that it is looked at again
                circuit = mover.buckets.second.circuit
                for _ in range(OPENS_AFTER):
                    circuit.failed(clock(), clock(), "away", operators=False)
                circuit.worked(clock())
            return await super().put(name, data, **kwargs)

    mover = new_mover(First(first), address)
    with pytest.raises(StoreConfigurationError, match="the same bucket"):
        await mover.sweep(mover.buckets.second)
    home, left = await names(first), await names(second)
    assert len(home) in range(3, 8)
    assert len({*home, *left}) == 21
    assert await names(first, MARK) == []


async def test_a_mark_closes_no_circuit_where_audio_failed(new_mover, first, second, clock):
    """A full disk takes an empty file."""

    class Full(Address):
        async def put(self, name, data, **kwargs):
            if data:
                raise TransientStoreError("put: No space left on device")
            return await super().put(name, data, **kwargs)

    mover = new_mover(first, Full(second))
    for number in range(OPENS_AFTER):
        with pytest.raises(TransientStoreError):
            await mover.buckets.second.put(f"chunks/u/e{number}/x", b"x", content_type="x", metadata={})
    assert not mover.buckets.second.circuit.closed
    assert await mover.sweep(mover.buckets.second) == 0
    assert not mover.buckets.second.circuit.closed
    assert len(await names(first)) == 1
