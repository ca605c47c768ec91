"""A pusher that is stopped while it drains: another takes over, and it goes on as if nothing had been."""

import pytest

from audiobus.census import exact
from audiostore.errors import TransientStoreError
from audiostore.names import conversation_prefix
from pusher.maker import Maker

PLAIN, STANDS, SEALED = "nothing stands", "a cut stands", "sealed"


@pytest.fixture
def settings(keys_setting):
    return {"TAPEDECK_ENCRYPTION_KEYS": keys_setting}


@pytest.mark.parametrize("story", [PLAIN, STANDS, SEALED])
async def test_it_may_be_stopped_after_every_step(
    *, story, scene, bus, hints, bucket, stop_after, keys, new_worker, failing_store, packets_of, state_of
):
    async for at, device in stop_after():
        conversation = device.conversation
        if story != PLAIN:
            await bus.command("HSET", bus.keys.user(conversation.uid), "protection", "enhanced")
        await bus.ask(conversation, "flush")
        if story == STANDS:
            # Somebody wrote a cut down, and could not put it.
            away = failing_store(bucket, [TransientStoreError("away")])
            await new_worker(away, maker=Maker(keys)).drain(conversation)
            await bus.command("HSET", bus.keys.user(conversation.uid), "protection", "standard")
        stopped = await scene.hint_at(conversation)
        if stopped:
            await device.say(3)
            await bus.ask(conversation, "flush")
        await scene.b_takes_over(conversation)
        settled = (await state_of(conversation)).settled
        await device.say(2)
        await scene.a_goes_on(conversation)
        assert (await state_of(conversation)).settled >= settled
        await bus.ask(conversation, "end")
        await hints.ready(conversation, "end")
        await scene.drained(conversation)
        steps = scene.steps(conversation)
        assert await packets_of(bucket, conversation) == device.sent, f"stopped after {at} of {steps}"
        found = [info.name async for info in bucket.list(conversation_prefix(*conversation))]
        sealed = [name for name in found if name.endswith(".enc")]
        assert len(sealed) == {PLAIN: 0, STANDS: 1, SEALED: len(found)}[story]
        balance = await exact(bus, conversation)
        assert (balance.difference, balance.waiting, balance.dead) == (0, 0, 0)
        if not stopped:
            break
    # Each step was met, from the claim of the hint to its acknowledgement.
    assert scene.through(conversation, at), (at, steps)
    assert {"claim", "build", "link", "put", "finish"} <= set(steps)
    assert story == STANDS or "cut" in steps
    assert scene.no_defects()
