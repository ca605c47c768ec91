"""A pusher that is stopped while it moves a batch home from the second bucket: another moves it, or it is deleted meanwhile."""

import pytest

from audiobus.census import exact
from audiobus.deletions import set_tombstone
from audiostore import open_store
from tapedeck_testing.draining.moving_home import infos


@pytest.fixture
def settings(tmp_path):
    return {"TAPEDECK_FALLBACK_STORE_URL": f"file://{tmp_path}/second"}


@pytest.fixture
async def second(tmp_path):
    store = open_store(f"file://{tmp_path}/second")
    yield store
    await store.close()


@pytest.mark.parametrize("fate", ["moved", "deleted"])
async def test_it_comes_home_once(*, fate, scene, bus, bucket, second, stop_after, new_worker, packets_of):
    async for at, device in stop_after():
        conversation = device.conversation
        scene.b.stop()
        await scene.runs_out(bus.keys.homecoming_lease())
        await bus.ask(conversation, "end")
        await new_worker(second).drain(conversation)
        stopped = await scene.a_gets_there(conversation)
        if fate == "deleted":
            await set_tombstone(bus, conversation, device.session.clock())
        await scene.b_goes_on(conversation)
        await scene.emptied(second, conversation)
        await scene.a_goes_on(conversation)
        steps = scene.steps(conversation)
        if fate == "deleted":
            await scene.emptied(bucket, conversation)
        else:
            assert await packets_of(bucket, conversation) == device.sent, f"stopped after {at} of {steps}"
            assert len(await infos(bucket)) == at + 1
        balance = await exact(bus, conversation)
        assert balance.difference == 0
        if not stopped:
            break
    assert scene.through(conversation, at), (at, steps)
    assert {"get", "put", "link", "delete"} <= set(steps)
    assert scene.no_defects()
