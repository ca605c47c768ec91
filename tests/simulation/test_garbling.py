"""A bucket that stores other bytes than it was sent, and hands out others than it has."""

import asyncio

import google_crc32c
import pytest

from audiostore.errors import AudiostoreError, ChecksumError, NotFoundError
from tapedeck_testing.simulation.bucket import Bucket, WorldStore
from tapedeck_testing.simulation.chance import Chance
from tapedeck_testing.simulation.garbling import GARBLED, LEFT, MISREAD, Garbling
from tapedeck_testing.simulation.substitutes import surroundings
from tapedeck_testing.simulation.virtual_loop import VirtualLoop

NAME = "chunks/u/c/1.000-2.000.batch.bin"
DATA = bytes(range(200))


def world(seed, faults):
    """A bucket, and what runs something in its surroundings."""
    chance = Chance(seed, faults)
    loop = VirtualLoop(most_steps=10_000, work_s=lambda: 0.001)
    bucket = Bucket(loop, chance, lambda _process, _kind: None)

    def play(work):
        with surroundings(loop, chance):
            try:
                return loop.run_until_complete(work)
            finally:
                loop.close()

    return bucket, WorldStore(bucket), play


async def put(store):
    try:
        await store.put(NAME, DATA, content_type="audio/ogg", metadata={"runs": "1"})
    except AudiostoreError as error:
        return error
    return None


def test_a_read_that_came_wrong_comes_right_the_next_time():
    bucket, store, play = world(1, {MISREAD: 1.0})

    async def read():
        assert await put(store) is None
        for _ in range(2):
            with pytest.raises(ChecksumError):
                await store.get(NAME)
            assert await store.get(NAME) == DATA
        first, second = await asyncio.gather(
            asyncio.create_task(store.get(NAME)), asyncio.create_task(store.get(NAME)), return_exceptions=True
        )
        assert isinstance(first, ChecksumError)
        assert isinstance(second, ChecksumError)

    play(read())
    assert bucket.chance.hits[MISREAD] == 4


def test_whoever_puts_hears_of_what_is_stored_damaged_or_puts_it_right():
    seen = set()
    for seed in range(40):
        bucket, store, play = world(seed, {GARBLED: 1.0})
        error, held = play(put(store)), bucket.objects[NAME]
        seen.add((held.damaged, bucket.garbling.claims))
        assert held.damaged == (error is not None) == (held.data != DATA)
        tells_so = held.info.crc32c != google_crc32c.value(DATA)
        assert tells_so == (held.damaged and not bucket.garbling.claims)
    assert seen == {(True, False), (True, True), (False, True)}  # no word of a writer: it stays


def test_what_its_writer_claims_is_told_by_no_listing_and_found_out_by_reading():
    seed = next(seed for seed in range(40) if Garbling(Chance(seed, {GARBLED: 1.0})).claims)
    bucket, store, play = world(seed, {GARBLED: 1.0})

    async def look():
        while NAME not in bucket.objects or not bucket.objects[NAME].damaged:
            await store.delete(NAME)
            await put(store)
        [listed] = [info async for info in store.list("chunks/")]
        assert (listed.crc32c, listed.metadata) == (None, None)
        assert (await store.head(NAME)).claimed
        with pytest.raises(ChecksumError):
            await store.get(NAME)

    play(look())


def test_what_lies_there_by_then_is_not_put_right_in_place_of_what_was_damaged():
    bucket, store, play = world(1, [])

    async def replace():
        await put(store)
        before = bucket.objects[NAME]
        await store.delete(NAME)
        with pytest.raises(NotFoundError):
            await store.head(NAME)
        await put(store)
        bucket.put_right(before, b"other")

    play(replace())
    assert bucket.objects[NAME].data == DATA


def test_a_few_come_when_all_other_faults_have_ended():
    chance = Chance(1, {MISREAD: 1.0, "line: cut": 1.0})
    chance.calm()
    assert not chance.strikes("line: cut")
    assert [chance.strikes(MISREAD, calm_too=LEFT) for _ in range(LEFT + 2)] == [True] * LEFT + [False] * 2
