"""The answer to any one call is lost, though it was carried out; or a bucket refuses one: the merge goes on, and ends as if nothing had been."""

import dataclasses
import itertools
from contextlib import suppress

import msgspec
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from audiobus import Bus, Conversation
from audiobus.census import exact
from audiobus.errors import BusUnavailableError
from audiostore.errors import StoreConfigurationError, TransientStoreError
from audiostore.memory_store import MemoryStore
from storage_api.bucket import Bucket
from tapedeck_testing.draining.steps import Stepping

T0 = 1_700_000_000_000
STRIDE = 2


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class Failing:
    """The n-th step of all fails."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.taken = 0

    def of(self, real, error: Exception, *, carried_out: bool):
        async def step(_name: str) -> None:
            self.taken += 1
            if self.taken == self.at:
                raise error

        return Stepping(real, None, step) if carried_out else Stepping(real, step)


KINDS = {
    "lost replies": (TransientStoreError("the line is cut"), True),
    "a bucket that is slow": (TransientStoreError("503"), False),
    "a bucket that refuses": (StoreConfigurationError("403"), False),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_it_ends_as_if_nothing_had_been(api, merging, recorded, one_bus, store, kind):
    error, carried_out = KINDS[kind]
    for at in itertools.count(1, STRIDE):
        sources, target = [f"a{at}", f"b{at}"], f"all{at}"
        for number, cid in enumerate(sources):
            await recorded(cid, T0, 0.1, hertz=300.0 + 300 * number)
        contents = sorted(
            [*(await merging.files(sources[0])).values(), *(await merging.files(sources[1])).values()]
        )
        operation_id, failing = await merging.begin(sources, target), Failing(at)
        async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
            client = own.client
            if carried_out:
                own.client = failing.of(client, RedisConnectionError("cut"), carried_out=True)
            bucket = Bucket(
                failing.of(store, error, carried_out=carried_out), api.services.metrics, api.services.workers
            )
            services = dataclasses.replace(api.services, bus=own, bucket=bucket)
            for _ in range(5):
                # Whoever looks for what is due looks again.
                with suppress(BusUnavailableError):
                    await merging.turn(operation_id, services=services)
            own.client = client
        operation = await merging.turn(operation_id)
        assert operation.done, at
        assert msgspec.json.decode(operation.result) == {"sources": 2, "objects": 2}, at
        assert sorted((await merging.files(target)).values()) == contents, at
        balance = await exact(one_bus, Conversation("user-1", target))
        assert (balance.difference, balance.stored) == (0, 2 * 4800), at
        for cid in sources:
            assert await merging.files(cid) == {}, at
            assert (await exact(one_bus, Conversation("user-1", cid))).difference == 0, at
        if failing.taken < at:
            break
    assert at > 10
