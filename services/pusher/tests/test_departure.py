"""Leaving a conversation that has nothing to cut, while something of it is noted."""

import pytest

from audiobus.deletions import unstore
from pusher.next_look import ACTIVE_MS


@pytest.fixture
async def quiet(device, bus, new_worker, memory_store, clock, conversation):
    """A conversation that is stored and has been quiet for long; the name of its object."""
    await device.open()
    await device.say(5, end=True)
    await bus.ask(conversation, "end")
    await new_worker(memory_store).drain(conversation)
    [info] = [one async for one in memory_store.list("chunks/")]
    clock.pass_s(1200)
    return info.name


async def test_a_name_that_is_noted_just_before_due_is_written_is_looked_at_soon(
    *, quiet, bus, new_worker, memory_store, clock, conversation, monkeypatch
):
    """The hint that comes with the note is overwritten, or meets our lease."""
    worker = new_worker(memory_store)
    push, noted = worker.hints.push_due, []

    async def pushes(*args):
        if not noted:
            noted.append(quiet)
            await unstore(bus, conversation, {quiet: 1}, clock())
        await push(*args)

    monkeypatch.setattr(worker.hints, "push_due", pushes)
    await worker.drain(conversation)
    assert noted
    due = await bus.client.zscore(bus.keys.due(0), conversation.tag)
    assert due - clock() <= ACTIVE_MS
    # It was seen to in the same turn.
    assert [one async for one in memory_store.list("chunks/")] == []
    assert not await bus.command("EXISTS", bus.keys.lease(conversation))
