"""A cut that is found standing where no replica has it: on a former master that does not know yet that it is none."""

import pytest

from audiobus import Bus
from audiobus.errors import NotReplicatedError
from audiobus.standing_cut import still_stands
from audiostore.errors import TransientStoreError


class Away:
    """A store that takes nothing."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def put(self, name, data, **given):
        raise TransientStoreError("away")


@pytest.fixture
async def standing(device, bus, memory_store, new_worker):
    """A conversation with a cut that was written down and not carried out."""
    await device.open()
    await device.say(5, end=True)
    await bus.ask(device.conversation, "finalize")
    await new_worker(Away(memory_store)).drain(device.conversation)
    assert (await bus.state(device.conversation)).cut is not None
    return device


async def test_it_is_not_carried_out_where_replicas_are_asked_for_and_none_has_it(
    standing, redis_url, prefix, memory_store, new_worker, batches, clock
):
    clock.pass_s(600)
    async with Bus(redis_url, prefix=prefix, wait_replicas=1) as careful:
        with pytest.raises(NotReplicatedError):
            await new_worker(memory_store, bus=careful).drain(standing.conversation)
    assert await batches(memory_store) == []


async def test_it_is_carried_out_where_none_are_asked_for(
    standing, memory_store, new_worker, packets_of, clock
):
    clock.pass_s(600)
    await new_worker(memory_store).drain(standing.conversation)
    assert await packets_of(memory_store) == standing.sent


async def test_another_cut_than_the_one_that_was_read_is_not_followed(standing, redis_url, prefix, bus):
    found = (await bus.state(standing.conversation)).cut
    assert await still_stands(bus, standing.conversation, found)
    async with Bus(redis_url, prefix=prefix, wait_replicas=1) as careful:
        with pytest.raises(NotReplicatedError):
            await still_stands(careful, standing.conversation, found)
