"""Who waits for a place hears of a bucket that refuses others."""

import asyncio

import pytest

from audiostore.errors import StoreConfigurationError, TransientStoreError
from storage_api.patience import begin_answer
from storage_api.places import WAITED_S, Places

AWAY = TransientStoreError("away")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def taken(clock):
    """One place, which is taken until the event is set."""
    places, free = Places(1, clock), asyncio.Event()

    async def take():
        async with places.place("first"):
            await free.wait()

    taking = asyncio.create_task(take())
    await asyncio.sleep(0)
    yield places, free
    free.set()
    await taking


async def waits(places, *, begun=False) -> asyncio.Task:
    async def wait():
        if begun:
            begin_answer()
        async with places.place("second"):
            pass

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return waiting


async def test_whoever_has_waited_hears_and_who_came_later_waits_on(taken, clock):
    places, free = taken
    first = await waits(places)
    clock.now = WAITED_S
    second = await waits(places)
    places.refused(AWAY)
    places.refused(AWAY)
    with pytest.raises(TransientStoreError, match="get second: not tried"):
        await first
    free.set()
    await second
    assert not places._waiting


async def test_an_answer_that_has_begun_waits_on(taken, clock):
    places, free = taken
    waiting = await waits(places, begun=True)
    clock.now = WAITED_S
    places.refused(AWAY)
    free.set()
    await waiting


async def test_what_is_wrong_with_one_object_is_nobody_elses(taken, clock):
    places, free = taken
    waiting = await waits(places)
    clock.now = WAITED_S
    places.refused(StoreConfigurationError("not for you"))
    free.set()
    await waiting


async def test_whoever_leaves_the_queue_takes_no_place_along(taken, clock):
    places, free = taken
    leaving, staying = await waits(places), await waits(places)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()
    clock.now = WAITED_S
    free.set()
    await staying
    places.refused(AWAY)
    assert not places._waiting
