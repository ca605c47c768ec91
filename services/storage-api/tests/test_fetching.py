"""Reads that are tried again, and the places that they take."""

import asyncio
from contextlib import nullcontext

import pytest

from audiostore.errors import ChecksumError, TransientStoreError
from audiostore.memory_store import MemoryStore
from audiostore.store import ObjectInfo
from storage_api import fetching, patience
from storage_api.errors import SourceGoneError, UnreadableError
from storage_api.fetching import Fetching

A, B = (ObjectInfo(f"chunks/u/c/{name}", 100, None, {}) for name in "ab")


class Store(MemoryStore):
    """Object A fails so often with `error`; whoever reads it waits until it `may`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.fails = 0
        self.error: Exception = TransientStoreError("away")
        self.may = asyncio.Event()

    async def get(self, name):
        self.asked.append(name[-1])
        if name == A.name:
            await self.may.wait()
            if self.fails:
                self.fails -= 1
                raise self.error
        return await super().get(name)


@pytest.fixture
async def store(monkeypatch):
    monkeypatch.setattr(fetching, "LARGE_BYTES", 0)  # one at a time
    made = Store()
    for info in (A, B):
        await made.put(info.name, b"x" * 100, content_type="a/b", metadata={})
    return made


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def reads(now):
    return Fetching(lambda _operation: nullcontext(), lambda: now[0])


async def begun(reads, store, info, *, answer=False, **how) -> asyncio.Task:
    async def read() -> bytes:
        if answer:
            patience.begin_answer()
        async with reads.whole(store, info, **how) as data:
            return data

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    return reading


async def test_nobody_waits_for_the_next_try_of_another(reads, store, monkeypatch):
    monkeypatch.setattr(patience, "pause_s", lambda *_: 3600)
    store.fails = 1
    first, second = await begun(reads, store, A), await begun(reads, store, B)
    store.may.set()
    assert await second == b"x" * 100
    assert store.asked == ["a", "b"]
    first.cancel()
    await asyncio.wait([first])


async def test_what_fails_is_tried_again(reads, store):
    store.fails = 2
    store.may.set()
    assert await (await begun(reads, store, A)) == b"x" * 100
    assert store.asked == ["a", "a", "a"]


async def test_what_is_made_of_it_is_made_in_its_place(reads, store):
    store.may.set()
    async with reads.whole(store, A):
        waiting = await begun(reads, store, B)
        assert store.asked == ["a"]
        assert await (await begun(reads, store, B, placed=False)) == b"x" * 100
    await waiting


@pytest.mark.parametrize("answer", [False, True])
async def test_who_waits_hears_of_a_bucket_that_refuses_another(reads, store, now, answer):
    store.fails = 1000
    first, second = await begun(reads, store, A, answer=answer), await begun(reads, store, B)
    now[0] = 4.0
    store.may.set()
    with pytest.raises(TransientStoreError, match="not tried"):
        await second
    assert first.done() is not answer
    first.cancel()
    await asyncio.wait([first])
    assert "b" not in store.asked


async def test_spoilt_bytes_are_one_objects_own(reads, store, now, monkeypatch):
    monkeypatch.setattr(patience, "LONGEST_PAUSE_S", 0.0)
    store.fails, store.error = 1000, ChecksumError("spoilt")
    first, second = await begun(reads, store, A), await begun(reads, store, B)
    now[0] = 4.0
    store.may.set()
    with pytest.raises(UnreadableError):
        await first
    assert await second == b"x" * 100


async def test_an_object_that_is_gone(reads, store):
    await store.delete(B.name)
    with pytest.raises(SourceGoneError):
        await (await begun(reads, store, B))
    with pytest.raises(SourceGoneError):
        await reads.beginning(store, B.name, 10)
