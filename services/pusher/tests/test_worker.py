"""The worker on a real Redis and real stores."""


async def test_a_finalized_conversation_is_stored_whole(
    device, bus, store, new_worker, packets_of, batches, state_of
):
    await device.open()
    await device.say(5, end=True)
    await bus.ask(device.conversation, "finalize")
    await new_worker(store).drain(device.conversation)
    assert await packets_of(store) == device.sent
    (batch,) = await batches(store)
    assert batch.spans[0].samples == device.next_sample
    state = await state_of()
    assert state.settled == device.newest
    assert state.waiting_samples == 0
    assert state.cut is None
    assert await bus.read(device.conversation, count=10) == []


async def test_minutes_are_cut_by_size_and_continue_with_preroll(
    device, bus, store, new_worker, packets_of, batches
):
    await device.open()
    await device.say(150)
    await new_worker(store).drain(device.conversation)
    await bus.ask(device.conversation, "end")
    await new_worker(store).drain(device.conversation)
    assert await packets_of(store) == device.sent
    found = await batches(store)
    assert all(batch.spans[-1].end_48k - batch.spans[0].start_48k <= 60 * 48_000 for batch in found)
    assert [bool(batch.preroll) for batch in found] == [False] + [True] * (len(found) - 1)
    assert all(len(batch.preroll) == 16 for batch in found[1:])
