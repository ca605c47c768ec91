"""A bucket that takes nobody's word, or no new object."""

import pytest

from audiostore.errors import NotFoundError, StoreConfigurationError, TransientStoreError
from tapedeck_testing.simulation.bucket import Bucket, WorldStore
from tapedeck_testing.simulation.chance import Chance
from tapedeck_testing.simulation.substitutes import surroundings
from tapedeck_testing.simulation.virtual_loop import VirtualLoop

NAME = "chunks/u/c/1.000-2.000.batch.bin"
OTHER = NAME.replace("2.000", "3.000")


@pytest.fixture
def play():
    """Runs something with a bucket that has one object, and its store."""

    def run(work):
        chance = Chance(1, [])
        loop = VirtualLoop(most_steps=10_000, work_s=lambda: 0.001)
        bucket = Bucket(loop, chance, lambda _process, _kind: None)
        store = WorldStore(bucket)

        async def whole():
            await put(store, NAME)
            await work(bucket, store)

        with surroundings(loop, chance):
            try:
                loop.run_until_complete(whole())
            finally:
                loop.close()

    return run


async def put(store, name):
    await store.put(name, b"audio", content_type="audio/ogg", metadata={})


def test_one_that_refuses_answers_nothing_until_somebody_acts(play):
    async def work(bucket, store):
        bucket.refuses_until = float("inf")
        for refused in (put(store, OTHER), store.get(NAME), store.head(NAME), store.delete(NAME)):
            with pytest.raises(StoreConfigurationError):
                await refused
        bucket.calm()
        await put(store, OTHER)
        assert sorted(bucket.objects) == [NAME, OTHER]

    play(work)


def test_one_that_is_full_still_reads_lists_and_deletes(play):
    async def work(bucket, store):
        bucket.full_until = float("inf")
        with pytest.raises(TransientStoreError):
            await put(store, OTHER)
        with pytest.raises(TransientStoreError):
            await store.copy(NAME, OTHER)
        assert await store.get(NAME) == b"audio"
        assert [info.name async for info in store.list("chunks/")] == [NAME]
        await store.delete(NAME)
        with pytest.raises(NotFoundError):
            await store.head(NAME)

    play(work)
