"""What is listed, in how many calls, and how many of these one after another."""

import asyncio
import random

import pytest

from audiostore.errors import TransientStoreError
from audiostore.memory_store import MemoryStore
from audiostore.names import timestamp
from audiostore.opened_later import OpenedLater
from audiostore.paired_store import PairedStore
from audiostore.store import lists_from_anywhere
from storage_api.listing import LONG_LISTINGS, PARTS, Earlier, Stretch, list_objects
from storage_api.wall_clock import now_ms

PREFIX = "chunks/user-1/conv-1/"
T0 = 1_700_000_000_000


class Bucket(MemoryStore):
    """Tells a thousand names a call, a call takes a round, and `rounds` counts those one after another."""

    lists_from_anywhere = True

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.rounds = self.names = self.at_once = self.most_at_once = 0
        self._next: asyncio.Task[None] | None = None

    async def _round(self) -> None:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self._next is None:
            self._next = asyncio.create_task(self._turn())
        await self._next
        self.at_once -= 1

    async def _turn(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)
        self.rounds += 1
        self._next = None

    async def list(self, prefix, after=""):
        await self._round()
        # The name after which it begins is one of a call's thousand.
        told = int(after in self._objects)
        async for info in super().list(prefix, after):
            if told == 1000:
                told = 0
                await self._round()
            told += 1
            self.names += 1
            yield info


async def filled(store, starts_ms):
    for start_ms in starts_ms:
        await store.put(f"{PREFIX}{timestamp(start_ms)}.bin", b"ab", content_type="a/b", metadata={})
    return store


async def in_parts(store, stretch=None, places=None, earlier=None):
    return await list_objects(store, PREFIX, stretch, places or asyncio.Semaphore(PARTS), earlier)


def found(listing) -> list[str]:
    return [info.name for _, info in listing.listed]


EVERY = {
    "a second each": range(T0, T0 + 10_000_000, 1_000),
    "a minute each": range(T0, T0 + 10_000 * 60_000, 60_000),
}


@pytest.mark.parametrize("starts_ms", EVERY.values(), ids=EVERY)
async def test_ten_thousand_names_take_four_rounds(starts_ms):
    store = await filled(Bucket(), starts_ms)
    listing = await in_parts(store)
    assert found(listing) == sorted(store._objects)
    assert (store.calls, store.rounds) == (15, 4)


@pytest.mark.parametrize("starts_ms", EVERY.values(), ids=EVERY)
async def test_when_it_was_listed_before_ten_thousand_names_take_one_round(starts_ms):
    bucket, earlier = await filled(Bucket(), starts_ms), Earlier()
    first = await in_parts(bucket, earlier=earlier)
    bucket.calls = bucket.rounds = 0
    assert found(await in_parts(bucket, earlier=earlier)) == found(first)
    assert (bucket.rounds, bucket.calls, bucket.most_at_once) == (1, 11, 11)


@pytest.mark.parametrize(
    ("count", "calls"),
    [(1, 1), (949, 1), (950, 1), (998, 1), (999, 2), (1000, 2), (1898, 2), (1947, 2), (1948, 3)],
)
async def test_no_call_is_made_for_names_that_another_gives_anyway(count, calls):
    bucket, earlier = await filled(Bucket(), range(T0, T0 + count * 1000, 1000)), Earlier()
    await in_parts(bucket, earlier=earlier)
    bucket.calls = bucket.rounds = 0
    assert len((await in_parts(bucket, earlier=earlier)).listed) == count
    assert (bucket.rounds, bucket.calls) == (1, calls)


async def test_whatever_became_of_the_names_since_all_are_found():
    chance = random.Random(4)
    bucket, earlier = await filled(Bucket(), range(T0, T0 + 5_000_000, 1000)), Earlier()
    for change in ("none", "more", "less", "none left", "others", "none"):
        names = list(bucket._objects)
        if change == "more":
            await filled(bucket, (T0 - chance.randint(1, 9_000_000) for _ in range(4000)))
        elif change in ("less", "none left"):
            for name in names if change == "none left" else chance.sample(names, 6000):
                await bucket.delete(name)
        elif change == "others":
            await filled(bucket, range(T0 + 60_000_000, T0 + 63_000_000, 1000))
        for _ in range(2):
            assert found(await in_parts(bucket, earlier=earlier)) == sorted(bucket._objects)


def test_only_so_many_long_listings_are_remembered():
    earlier = Earlier()
    for number in range(LONG_LISTINGS + 1):
        earlier.remember(f"{number}/", ["a"])
    assert (earlier.of("0/"), earlier.of("1/")) == ((), ("a",))
    earlier.remember("1/", [])
    assert earlier.of("1/") == ()


async def test_without_places_they_are_listed_one_after_another():
    store = await filled(Bucket(), EVERY["a second each"])
    for stretch, calls in ((None, 10), (Stretch(T0 + 4_000_500, T0, 10_000, 1_000_000), 6)):
        store.calls = store.rounds = 0
        assert len(found(await list_objects(store, PREFIX, stretch))) in (10_000, 5_999)
        assert (store.calls, store.rounds) == (calls, calls)


@pytest.mark.parametrize("count", [999, 1_440, 1_900])
async def test_where_the_first_call_gives_nearly_all_few_are_made(count):
    store = await filled(Bucket(), range(T0, T0 + count * 60_000, 60_000))
    assert len(found(await in_parts(store))) == count
    assert (store.calls, store.rounds) == (3, 2)


async def test_nobody_asks_for_names_beyond_now():
    from_ms = now_ms() // 60_000 * 60_000 - 1_440 * 60_000
    store = await filled(Bucket(), range(from_ms, from_ms + 1_440 * 60_000, 60_000))
    assert len(found(await in_parts(store))) == 1_440
    assert store.calls == 2


async def test_all_listings_together_have_so_many_places():
    store = await filled(Bucket(), EVERY["a second each"])
    places = asyncio.Semaphore(3)
    for listing in await asyncio.gather(*(in_parts(store, places=places) for _ in range(4))):
        assert found(listing) == sorted(store._objects)
    assert store.most_at_once == 4 + 3  # the first part of each is in nobody's way


async def test_dense_names_behind_a_sparse_beginning_are_not_all_listed():
    sparse = [T0 + number * 60_000 for number in range(100)]
    dense = range(sparse[-1] + 1_000, sparse[-1] + 20_000_000, 1_000)
    store = await filled(Bucket(), [*sparse, *dense])
    listing = await in_parts(store, Stretch(T0, T0, 3_000, 60_000_000))
    assert found(listing) == sorted(store._objects)[:3_000]
    assert listing.before_ms == dense[2_900]
    assert store.names < 7_000


async def test_few_names_take_one_call():
    store = await filled(Bucket(), range(T0, T0 + 900_000, 1_000))
    assert len(found(await in_parts(store))) == 900
    assert store.calls == 1


async def test_a_page_takes_one_round():
    store = await filled(Bucket(), EVERY["a second each"])
    stretch = Stretch(T0 + 4_000_000 - 120_000, T0 + 4_000_000, 1_002, 1_000_000)
    listing = await in_parts(store, stretch)
    assert found(listing) == sorted(store._objects)[3_880:5_002]
    assert listing.before_ms == T0 + 5_002_000
    assert (store.calls, store.rounds) == (2, 1)


@pytest.mark.parametrize("pace_us", [0, 1, 10_000_000, 3_600_000_000])
async def test_a_wrong_pace_finds_the_same(pace_us):
    store = await filled(Bucket(), EVERY["a second each"])
    listing = await in_parts(store, Stretch(T0 + 4_000_000, T0 + 4_000_000, 1_500, pace_us))
    assert found(listing) == sorted(store._objects)[4_000:5_500]
    assert listing.before_ms == T0 + 5_500_000
    assert store.calls <= 13


async def test_other_stores_are_listed_once():
    class Folder(Bucket):
        lists_from_anywhere = False

    store = await filled(Folder(), EVERY["a second each"])
    assert found(await in_parts(store)) == sorted(store._objects)
    assert store.calls == 10  # thousands of one listing


@pytest.mark.parametrize("seed", range(20))
async def test_names_that_come_as_they_like_are_all_found(seed, monkeypatch):
    monkeypatch.setattr("storage_api.listing.PART_NAMES", 7)
    monkeypatch.setattr("storage_api.listing.MEANT_NAMES", 6)
    chance = random.Random(seed)
    pair = PairedStore(Bucket(), Bucket())
    for _ in range(chance.choice([1, 7, 8, 60, 150])):
        start_ms = chance.choice([T0, 0, 10**12, 10**13]) + int(
            chance.expovariate(1 / 10 ** chance.randrange(2, 9))
        )
        name = f"{PREFIX}{timestamp(start_ms)}{chance.choice(['.bin', '.json', '-1.000.batch.bin'])}"
        store = chance.choice([pair.first, pair.second])
        if name not in store._objects:
            await store.put(name, b"ab", content_type="a/b", metadata={})
    every = [info.name async for info in pair.list(PREFIX) if not info.name.endswith("json")]
    assert found(await in_parts(pair)) == every


async def test_a_part_that_fails_fails_all():
    class Failing(Bucket):
        async def list(self, prefix, after=""):
            if self.calls == 5:
                raise TransientStoreError("away")
            async for info in super().list(prefix, after):
                yield info

    store = await filled(Failing(), EVERY["a second each"])
    with pytest.raises(TransientStoreError):
        await in_parts(store)


async def test_who_says_that_it_lists_from_anywhere():
    assert lists_from_anywhere(PairedStore(Bucket(), Bucket()))
    assert not lists_from_anywhere(PairedStore(Bucket(), MemoryStore()))
    later = OpenedLater("memory:")
    assert not lists_from_anywhere(later)
    await later.open()
    assert not lists_from_anywhere(later)
