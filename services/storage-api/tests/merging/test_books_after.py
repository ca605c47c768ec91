"""What was merged is deleted again: the books of the target know whose audio counts there."""

import pytest

from audiobus import Conversation
from audiobus.census import exact
from audiobus.merging import hold
from audiobus.operations import find
from storage_api.kinds import kinds_of
from storage_api.operations.runner import Runner

T0 = 1_700_000_000_000
ALL = Conversation("user-1", "all")
HEADERS = {"Authorization": "Bearer all-token"}


@pytest.mark.parametrize("merges", [["all"], ["all", "further"]], ids=["once", "twice"])
async def test_cutting_a_part_out_of_what_was_merged(api, merging, recorded, one_bus, merges):
    await recorded("a", T0)
    await recorded("b", T0 + 60_000)
    sources = ["a", "b"]
    for target in merges:
        assert (await merging.run(sources, target)).result
        sources = [target]
    last = Conversation("user-1", merges[-1])
    path = api.path(last, "/audio")
    answer = await api.http.delete(path, params={"end": T0 // 1000 + 30}, headers=HEADERS)
    assert answer.json() == {"deleted_objects": 1, "deleted_seconds": 2.0}
    balance = await exact(one_bus, last)
    assert (balance.difference, balance.stored, balance.deleted) == (0, 96_000, 96_000)


async def test_cutting_a_part_out_of_a_copy(api, merging, recorded, one_bus):
    """It was received elsewhere, and is there."""
    await recorded("a", T0)
    await recorded("all", T0 + 60_000)
    await merging.run(["a"], "all", delete=False)
    answer = await api.http.delete(api.path(ALL, "/audio"), params={"end": T0 // 1000 + 30}, headers=HEADERS)
    assert answer.json() == {"deleted_objects": 1, "deleted_seconds": 2.0}
    balance = await exact(one_bus, ALL)
    assert (balance.difference, balance.stored, balance.deleted) == (0, 96_000, 0)
    assert (await exact(one_bus, Conversation("user-1", "a"))).stored == 96_000


async def test_the_target_is_deleted(api, merging, recorded, one_bus):
    await recorded("a", T0)
    await merging.run(["a"], "all")
    answer = await api.http.delete(api.path(ALL), headers=HEADERS)
    assert answer.json() == {"deleted_objects": 1, "deleted_seconds": 2.0}
    balance = await exact(one_bus, ALL)
    assert (balance.difference, balance.stored, balance.deleted) == (0, 0, 96_000)


async def test_its_user_deletes_everything(api, merging, recorded, one_bus):
    await recorded("a", T0)
    await recorded("all", T0 + 60_000)
    await merging.run(["a"], "all")
    begun = (await api.http.delete("/v1/users/user-1/audio", headers=HEADERS)).json()["id"]
    runner = Runner(one_bus, kinds_of(api.services))
    for taken in await runner.take_due():
        await runner.carry_out(taken)
    told = await find(one_bus, begun)
    assert told is not None
    assert await merging.files("all") == {}
    balance = await exact(one_bus, ALL)
    assert (balance.difference, balance.stored, balance.deleted) == (0, 0, 192_000)


async def test_a_users_deletion_waits_for_what_a_merge_holds(api, merging, recorded, one_bus):
    await recorded("all", T0)
    await hold(one_bus, ALL, "merge-1", until_ms=10**14)
    await api.http.delete("/v1/users/user-1/audio", headers=HEADERS)
    runner = Runner(one_bus, kinds_of(api.services))
    for taken in await runner.take_due():
        await runner.carry_out(taken)
    assert len(await merging.files("all")) == 1
