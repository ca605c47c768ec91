"""A real mover brings home what lies in the second bucket, between any two steps of a merge: every object is in the target, once."""

import dataclasses
import itertools

import pytest

from audiobus import Bus, Conversation
from audiobus.census import exact
from audiostore.key_ring import KeySource
from audiostore.memory_store import MemoryStore
from audiostore.paired_store import PairedStore
from pusher.homecoming import Homecoming
from storage_api.bucket import Bucket
from tapedeck_testing.draining.steps import Meanwhile

T0 = 1_700_000_000_000
STRIDE = 3
"""Of all steps each test takes so many apart, another one first: together they take all."""


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def second() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def put(tape_for, pcm_tone):
    """A tenth of a second by a session of its own, in that bucket; the packets."""

    async def record(cid: str, bucket, start_ms: int, hertz: float) -> list[bytes]:
        tape = tape_for(Conversation("user-1", cid))
        tape.store = bucket
        await tape.record(pcm_tone(0.1, hertz=hertz), start_ms=start_ms)
        await tape.drain(0, len(tape.chunks))
        return [packet for chunk, _ in tape.chunks for packet in chunk.packets]

    return record


async def contents(store, cid: str) -> list[bytes]:
    prefix = f"chunks/user-1/{cid}/"
    return sorted([await store.get(info.name) async for info in store.list(prefix)])


@pytest.mark.parametrize(("delete", "first_step"), [(True, 1), (True, 2), (True, 3), (False, 2)])
async def test_every_object_once(api, merging, one_bus, store, second, put, delete, first_step):
    home = Homecoming(one_bus, store, second, KeySource())

    async def bring_home() -> None:
        for info in [info async for info in second.list("chunks/")]:
            await home.move(info)

    for at in itertools.count(first_step, STRIDE):
        cid, target = f"a{at}", f"all{at}"
        # Two of one name in the source, one that only the second bucket has, and the same name in the target.
        await put(cid, store, T0, 300.0)
        await put(cid, second, T0, 500.0)
        await put(cid, second, T0 + 60_000, 700.0)
        await put(target, second, T0, 900.0)
        expected = sorted(
            [*await contents(store, cid), *await contents(second, cid), *await contents(second, target)]
        )
        assert len(expected) == 4
        meanwhile = Meanwhile(at, bring_home)
        async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
            client, own.client = own.client, meanwhile.before(own.client)
            pair = PairedStore(meanwhile.before(store), meanwhile.before(second))
            bucket = Bucket(pair, api.services.metrics, api.services.workers)
            services = dataclasses.replace(api.services, bus=own, bucket=bucket)
            operation = await merging.run([cid], target, delete=delete, services=services)
            for _ in range(10):
                if operation.done:
                    break
                operation = await merging.turn(operation.id, services=services)
            own.client = client
        assert operation.done, at
        assert not operation.error, (at, operation.error)
        await bring_home()
        assert await contents(store, target) == expected, at
        assert await contents(second, target) == await contents(second, cid) == [], at
        assert len(await contents(store, cid)) == (0 if delete else 3), at
        for one in (cid, target):
            assert (await exact(one_bus, Conversation("user-1", one))).difference == 0, at
        if not meanwhile.happened:
            break
    assert at > 20
