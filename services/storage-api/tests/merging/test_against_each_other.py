"""Merges that want the same conversations at the same time: one of them has each, nothing is lost, and nothing stays held."""

import asyncio
import itertools
import json

import pytest

from audiobus import Conversation
from audiobus.census import exact
from audiobus.operations import find
from storage_api.merging.merge import KIND, Merge
from storage_api.operations.runner import Runner

T0 = 1_700_000_000_000


async def carried_out(services, one_bus, most: int = 40) -> None:
    """By two processes, until nothing is left to do."""
    runners = [Runner(services.bus, {KIND: Merge(services, grace_ms=0)}) for _ in range(2)]
    for _ in range(most):
        taken = [[(runner, one) for one in await runner.take_due()] for runner in runners]
        await asyncio.gather(*(runner.carry_out(one) for runner, one in itertools.chain(*taken)))
        undone = await one_bus.command("ZRANGE", one_bus.keys.operations(), 0, -1)
        if not undone:
            return
        for one in undone:
            await one_bus.command("ZADD", one_bus.keys.operations(), 0, one)
    raise AssertionError("they go on for ever")


MERGES = {
    "both ways": [(["a"], "b"), (["b"], "a")],
    "in a circle": [(["a"], "b"), (["b"], "c"), (["c"], "a")],
    "a chain": [(["a"], "b"), (["b"], "c")],
    "one source, two targets": [(["a"], "b"), (["a"], "c")],
    "two sources, one target": [(["a"], "c"), (["b"], "c")],
    "one within another": [(["a", "b"], "c"), (["a"], "c")],
    "into itself": [(["a"], "a"), (["a", "b"], "a")],
}


@pytest.mark.parametrize("merges", MERGES.values(), ids=MERGES)
@pytest.mark.parametrize("delete", [True, False], ids=["sources go", "sources stay"])
async def test_all_that_was_recorded_is_somewhere_once(api, merging, recorded, one_bus, merges, delete):
    for number, cid in enumerate(("a", "b", "c")):
        await recorded(cid, T0, 0.1, hertz=300.0 + 200 * number)
    before = sorted([data for cid in ("a", "b", "c") for data in (await merging.files(cid)).values()])
    begun = [await merging.begin(sources, target, delete=delete) for sources, target in merges]
    await carried_out(api.services, one_bus)
    ended = [await find(one_bus, operation_id) for operation_id in begun]
    assert any(one is not None and one.done and not one.error for one in ended), "nobody has won"
    after = [sorted((await merging.files(cid)).values()) for cid in ("a", "b", "c")]
    assert sorted({data for files in after for data in files}) == before
    for files in after:
        assert len(files) == len(set(files))
    if delete:
        assert sorted(itertools.chain(*after)) == before
    for cid in ("a", "b", "c"):
        one = Conversation("user-1", cid)
        assert not (await one_bus.state(one)).in_merge
        assert (await exact(one_bus, one)).difference == 0


async def test_asked_ten_times_at_once_it_is_one(api, merging, recorded, one_bus):
    await recorded("a", T0, 0.1)
    body = json.dumps({"sources": ["a"], "target": "all", "delete_sources": True})
    headers = {"Authorization": "Bearer all-token"}
    path = "/v1/users/user-1/conversations:merge"
    answers = await asyncio.gather(*(api.http.post(path, content=body, headers=headers) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    await carried_out(api.services, one_bus)
    again = await api.http.post(path, content=body, headers=headers)
    assert again.json()["result"] == {"sources": 1, "objects": 1}


async def test_two_processes_at_one_operation(api, merging, recorded, one_bus):
    """The first was taken for dead, and goes on all the same."""
    await recorded("a", T0, 0.1)
    await recorded("b", T0, 0.1, hertz=900.0)
    before = sorted([*(await merging.files("a")).values(), *(await merging.files("b")).values()])
    operation_id = await merging.begin(["a", "b"], "all")
    runners = [Runner(one_bus, {KIND: Merge(api.services, grace_ms=0)}) for _ in range(2)]
    taken = []
    for runner in runners:
        await one_bus.command("HDEL", one_bus.keys.operation(operation_id), "holder", "until")
        await one_bus.command("ZADD", one_bus.keys.operations(), 0, operation_id)
        taken += await runner.take_due()
    assert len(taken) == 2
    await asyncio.gather(*(runner.carry_out(one) for runner, one in zip(runners, taken, strict=True)))
    operation = await merging.turn(operation_id)
    assert operation.done
    assert not operation.error
    assert sorted((await merging.files("all")).values()) == before
    assert (await exact(one_bus, Conversation("user-1", "all"))).stored == 2 * 4800
