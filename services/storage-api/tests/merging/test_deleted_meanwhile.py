"""Something of a conversation is deleted between any two steps of a merge that it is part of: it is refused, or nothing of it is in the target either."""

import dataclasses
import itertools

import pytest

from audiobus import Bus, Conversation
from audiobus.census import exact
from audiostore.batch import read_batch
from audiostore.memory_store import MemoryStore
from storage_api.bucket import Bucket
from tapedeck_testing.draining.steps import Meanwhile

T0_S = 1_700_000_000
LATER_S = T0_S + 60
HEADERS = {"Authorization": "Bearer all-token"}
ACTS = {
    "a stretch of the source": ("a", "/audio", {"start": T0_S, "end": T0_S + 0.2}),
    "a stretch of the target": ("all", "/audio", {"start": LATER_S, "end": LATER_S + 0.2}),
    "a batch of the source": ("a", "/chunks", {"timestamps": T0_S}),
    "a batch of the target": ("all", "/chunks", {"timestamps": LATER_S}),
    "the source": ("a", "", {}),
    "the target": ("all", "", {}),
}
CUT = 11
"""Packets of the stretch: the encoder's look-ahead is before the first."""
STRIDE = 3
"""Of all steps each test takes so many apart, another one first: together they take all."""


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def packets(tape) -> list[bytes]:
    return [packet for chunk, _ in tape.chunks for packet in chunk.packets]


async def stored_packets(store, cid: str) -> set[bytes]:
    found: set[bytes] = set()
    async for info in store.list(f"chunks/user-1/{cid}/"):
        for span in read_batch(await store.get(info.name)).spans:
            found.update(span.packets)
    return found


@pytest.mark.parametrize("delete", [True, False], ids=["sources go", "sources stay"])
@pytest.mark.parametrize("what", ACTS)
async def test_it_stays_away(api, merging, recorded, one_bus, store, what, delete):
    cid, rest, query = ACTS[what]
    answered = set()
    for at in itertools.count(1 + ([*ACTS].index(what) + 2 * delete) % STRIDE, STRIDE):
        source, target = Conversation("user-1", f"a{at}"), Conversation("user-1", f"all{at}")
        of = {"a": await recorded(source.cid, T0_S * 1000, 0.4)}
        of["all"] = await recorded(target.cid, LATER_S * 1000, 0.4, hertz=700.0)
        asked, answers = of[cid].conversation, []

        async def act(asked=asked, answers=answers) -> None:
            # The process that merges is stopped for as long.
            await one_bus.command("DEL", one_bus.keys.replacing_lease(asked))
            answers.append(await api.http.delete(api.path(asked, rest), params=query, headers=HEADERS))

        meanwhile = Meanwhile(at, act)
        operation_id = await merging.begin([source.cid], target.cid, delete=delete)
        async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
            client, own.client = own.client, meanwhile.before(own.client)
            bucket = Bucket(meanwhile.before(store), api.services.metrics, api.services.workers)
            services = dataclasses.replace(api.services, bus=own, bucket=bucket)
            operation = await merging.turn(operation_id, services=services)
            own.client = client
        while not operation.done:
            operation = await merging.turn(operation_id)
        if not meanwhile.happened:
            break
        [answer] = answers
        where = (at, answer.status_code, answer.text, operation.error)
        answered.add(answer.status_code)
        doomed = set(packets(of[cid])[: CUT if rest == "/audio" else None])
        every = {packet for tape in of.values() for packet in packets(tape)}
        here = [await stored_packets(store, one.cid) for one in (source, target)]
        if answer.status_code == 200 and answer.json()["deleted_objects"]:
            if cid == "a" and not delete:
                # What was copied before is the target's by then.
                here[1] -= doomed
            if what == "the target" and not operation.error:
                assert here[1] == set(), where
            else:
                assert here[0] | here[1] == every - doomed, where
        else:
            assert answer.status_code in {200, 404, 409}, where
            assert here[0] | here[1] == every, where
        for one in (source, target):
            assert (await exact(one_bus, one)).difference == 0, where
            assert not (await one_bus.state(one)).in_merge, where
    assert 200 in answered
