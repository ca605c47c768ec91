"""Conversations that were stored together, for pressure or because an operator asked, do not fall due together from then on."""

import pytest

from audiobus import Conversation


@pytest.mark.parametrize("hurried", [True, False])
async def test_after_all_were_stored_at_once_each_falls_due_at_its_own_moment(
    bus, memory_store, new_worker, new_device, clock, hurried
):
    devices = [new_device(conversation=Conversation("alice", f"phase{number}")) for number in range(8)]
    begun = clock()
    for device in devices:
        clock.ms = begun
        await device.open()
        await device.say(100)
    worker = new_worker(memory_store)
    for device in devices:
        await worker.drain(device.conversation)
        await bus.ask(device.conversation, "flush" if hurried else "end")
        await worker.drain(device.conversation)
        assert (await bus.state(device.conversation)).hurried is hurried
    at_ms = clock()
    ends = []
    for device in devices:
        clock.ms = at_ms
        await device.say(62)
        await worker.drain(device.conversation)
        state = await bus.state(device.conversation)
        ends.append(state.settled.offset)
        assert not state.hurried
    # In steps of a chunk, so some meet.
    assert len(set(ends)) > 4 if hurried else len(set(ends)) == 1
