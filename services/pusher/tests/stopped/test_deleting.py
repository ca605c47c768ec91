"""A pusher that is stopped while a conversation is deleted: nothing of it comes back."""

import pytest

from audiobus.census import exact
from audiobus.deletions import set_tombstone


@pytest.mark.parametrize("first", ["deleted", "drained"])
async def test_nothing_comes_back(*, first, scene, bus, hints, bucket, stop_after, new_worker):
    """It was deleted before A was asked to store it (A clears and sweeps), or while A stands still."""
    async for at, device in stop_after():
        scene.b.stop()  # nor may it find what is prepared
        conversation = device.conversation
        await bus.ask(conversation, "flush")
        await new_worker(bucket).drain(conversation)
        await device.say(2)
        await bus.ask(conversation, "flush")
        now_ms = device.session.clock()
        if first == "deleted":
            await set_tombstone(bus, conversation, now_ms)
        stopped = await scene.hint_at(conversation)
        if first == "drained":
            await set_tombstone(bus, conversation, now_ms)
        await scene.b_goes_on(conversation)
        await scene.emptied(bucket, conversation)
        await scene.a_goes_on(conversation)
        await scene.emptied(bucket, conversation)
        steps = scene.steps(conversation)

        async def booked(conversation=conversation) -> bool:
            balance = await exact(bus, conversation)
            return (balance.difference, balance.deleted) == (0, balance.received)

        await scene.eventually(booked, f"stopped after {at} of {steps}: all of it counts as deleted")
        assert await bus.command("ZSCORE", bus.keys.due(0), conversation.tag) is not None
        if not stopped:
            break
    assert scene.through(conversation, at), (at, steps)
    assert {"deleted": "delete", "drained": "cut"}[first] in steps
    assert scene.no_defects()
