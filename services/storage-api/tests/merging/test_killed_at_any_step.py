"""A merge that is killed at any step and asked again gives the same answer; a device that records on all the while loses nothing it was told is safe."""

import dataclasses
import itertools

import msgspec
import pytest

from audiobus import Bus, Conversation
from audiobus.census import exact
from audiobus.errors import MergingError
from audiostore.memory_store import MemoryStore
from storage_api.bucket import Bucket
from tapedeck_testing.draining.steps import Death, Killed, Meanwhile

T0 = 1_700_000_000_000


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def over(services, bus, store):
    """The same services over another bus and store."""
    return dataclasses.replace(services, bus=bus, bucket=Bucket(store, services.metrics, services.workers))


@pytest.mark.parametrize("delete", [True, False], ids=["sources go", "sources stay"])
async def test_the_answer_is_the_same(api, merging, recorded, one_bus, store, delete):
    for at in itertools.count(1):
        sources, target = [f"a{at}", f"b{at}"], f"all{at}"
        for number, cid in enumerate(sources):
            # Both claim one name.
            await recorded(cid, T0, 0.1, hertz=300.0 + 300 * number)
        contents = sorted(
            [*(await merging.files(sources[0])).values(), *(await merging.files(sources[1])).values()]
        )
        operation_id = await merging.begin(sources, target, delete=delete)
        # Every other one of them before its step, the others after it.
        death, died = Death(at, after=bool(at % 2)), False
        async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
            client, own.client = own.client, death.of(own.client)
            try:
                await merging.turn(operation_id, services=over(api.services, own, death.of(store)))
            except (Killed, BaseExceptionGroup):
                died = True
            finally:
                own.client = client
        operation = await merging.turn(operation_id)
        while not operation.done:
            operation = await merging.turn(operation_id)
        assert msgspec.json.decode(operation.result) == {"sources": 2, "objects": 2}, at
        assert sorted((await merging.files(target)).values()) == contents, at
        for cid in sources:
            one = Conversation("user-1", cid)
            assert len(await merging.files(cid)) == (0 if delete else 1), at
            assert await one_bus.tombstone(one) == delete, at
            assert not (await one_bus.state(one)).in_merge, at
            assert (await exact(one_bus, one)).difference == 0, at
        balance = await exact(one_bus, Conversation("user-1", target))
        assert (balance.difference, balance.stored) == (0, 2 * 4800 if delete else 0), at
        if not died:
            break
    assert at > 20


async def test_a_device_records_on(api, merging, recorded, storing, encode, pcm_tone, one_bus, store):
    refused = 0
    for at in itertools.count(1, 2):
        tape = await recorded(f"a{at}", T0, 0.5, store=False)
        more = [(chunk, end) for chunk, end in encode(pcm_tone(2.0)) if end > tape.newest.offset][:1]
        outcome = []

        async def record(tape=tape, more=more, outcome=outcome) -> None:
            try:
                await tape.append(
                    [(msgspec.structs.replace(more[0][0], first_offset=tape.newest.offset), more[0][1])]
                )
            except MergingError:
                outcome.append(False)
            else:
                outcome.append(True)

        meanwhile = Meanwhile(at, record)
        async with storing(tape), Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
            client, own.client = own.client, meanwhile.before(own.client)
            services = over(api.services, own, meanwhile.before(store))
            operation_id = await merging.begin([f"a{at}"], f"all{at}")
            operation = await merging.turn(operation_id, services=services)
            while not operation.done:
                operation = await merging.turn(operation_id, services=services)
            own.client = client
        assert not operation.error, operation.error
        acked = sum(chunk.samples for chunk, _ in tape.chunks)
        assert (await exact(one_bus, Conversation("user-1", f"all{at}"))).stored == acked, at
        refused += outcome == [False]
        if not meanwhile.happened:
            break
    assert refused > 5
