"""The worker on a real Redis and real stores."""

import pytest

from audiobus import Bus
from audiostore.names import parse_name
from pusher.cutter import Limits


async def test_a_finalized_conversation_is_stored_whole(
    device, bus, store, new_worker, packets_of, batches, state_of
):
    await device.open()
    await device.say(5, end=True)
    await bus.ask(device.conversation, "finalize")
    await new_worker(store).drain(device.conversation)
    assert await packets_of(store) == device.sent
    (batch,) = await batches(store)
    assert batch.spans[0].samples == device.session.next_sample
    state = await state_of()
    assert state.settled == device.session.newest
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


@pytest.mark.parametrize("kind", ["redis_7_url", "redis_62_url", "redis_cluster_url"])
async def test_it_drains_on_every_kind_of_redis(
    kind, request, prefix, new_device, memory_store, new_worker, packets_of
):
    async with Bus(request.getfixturevalue(kind), prefix=prefix) as bus:
        device = new_device(bus=bus)
        await device.open()
        await device.say(70)
        await bus.ask(device.conversation, "end")
        await new_worker(memory_store, bus=bus).drain(device.conversation)
        assert await packets_of(memory_store) == device.sent
        assert (await bus.state(device.conversation)).waiting_samples == 0


@pytest.mark.parametrize("reason", ["finalize", "end", "switch", "flush"])
async def test_every_reason_that_is_asked_for_is_counted(
    reason, device, bus, memory_store, new_worker, metrics
):
    await device.open()
    await device.say(1)
    await bus.ask(device.conversation, reason)
    await new_worker(memory_store).drain(device.conversation)
    assert metrics.batches[reason]._value.get() == 1
    assert metrics.stored_seconds._value.get() == pytest.approx(1 - 312 / 48_000)


async def test_audio_from_a_clock_that_is_ahead_waits_no_longer(
    device, bus, memory_store, new_worker, clock, metrics, packets_of
):
    """A `listen` whose clock is an hour ahead, and a device that never comes back."""
    clock.pass_s(3_600)
    await device.open()
    await device.say(30)
    clock.pass_s(-3_630)
    worker = new_worker(memory_store)
    await worker.drain(device.conversation)
    clock.pass_s(59)
    await worker.drain(device.conversation)
    assert worker.unstored.age_seconds(clock()) == 59
    assert await packets_of(memory_store) == []
    # It is looked at again by then.
    due = await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag)
    assert float(due) == clock() + 1_000
    clock.pass_s(1)
    await worker.drain(device.conversation)
    assert metrics.batches["age"]._value.get() == 1
    # By that clock more may come any moment: the last chunk may begin another batch.
    clock.pass_s(60)
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == device.sent
    assert worker.unstored.age_seconds(clock()) == 0


async def test_age_and_idleness_drain(device, bus, hints, memory_store, new_worker, clock, metrics):
    await device.open()
    await device.say(5)
    worker = new_worker(memory_store)
    await worker.drain(device.conversation)
    assert await bus.buffered(device.conversation)
    oldest = device.session.clock() - 4_000
    # It is looked at again when the oldest chunk has waited long enough, not later.
    due = await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag)
    assert float(due) == oldest + 60_000
    assert worker.unstored.age_seconds(clock()) == 4.0
    clock.ms = oldest + 60_000
    await worker.drain(device.conversation)
    assert metrics.batches["age"]._value.get() == 1
    assert worker.unstored.age_seconds(clock()) == 0.0
    await device.say(3)
    clock.pass_s(20)
    await new_worker(memory_store, limits=Limits(idle_ms=20_000)).drain(device.conversation)
    assert metrics.batches["idle"]._value.get() == 1


async def test_openings_alone_are_settled_without_an_object(
    device, bus, memory_store, new_worker, clock, state_of
):
    await device.open()
    clock.pass_s(60)
    await new_worker(memory_store).drain(device.conversation)
    assert [info async for info in memory_store.list("")] == []
    assert (await state_of()).settled == device.session.newest
    assert await bus.buffered(device.conversation)


@pytest.mark.parametrize("idle_s", [0, 30, 300, 3600])
async def test_it_is_looked_at_more_seldom_when_nothing_happens(
    idle_s, device, bus, memory_store, new_worker, clock
):
    await device.open()
    await device.say(1)
    await bus.ask(device.conversation, "flush")
    clock.pass_s(idle_s)
    await new_worker(memory_store).drain(device.conversation)
    due = await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag)
    assert float(due) - clock() == max(60_000, min(600_000, idle_s * 1000))


async def test_a_name_that_holds_the_same_runs_is_success(
    device, bus, store, new_worker, packets_of, state_of, metrics
):
    """The object is there, and Redis does not know of it: the finish was lost with a crash."""
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    worker = new_worker(store)
    planned = await worker._planner.plan(device.conversation, await state_of(), device.session.clock())
    await bus.cut(device.conversation, planned.cut, settled=None)
    await store.put(
        planned.cut.name, planned.built.data, content_type="audio/ogg", metadata=planned.built.metadata
    )
    await new_worker(store).drain(device.conversation)
    assert await packets_of(store) == device.sent
    assert metrics.puts["found"]._value.get() == 1
    assert (await state_of()).waiting_samples == 0


async def test_a_name_that_holds_anything_else_is_left_alone(
    device, bus, store, new_worker, state_of, metrics
):
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    worker = new_worker(store)
    planned = await worker._planner.plan(device.conversation, await state_of(), device.session.clock())
    await store.put(planned.cut.name, b"not ours", content_type="audio/wav", metadata={})
    await worker.drain(device.conversation)
    first, second = sorted([info.name async for info in store.list("chunks/")])
    assert first == planned.cut.name
    assert await store.get(first) == b"not ours"
    taken, instead = parse_name(first), parse_name(second)
    assert (instead.start_ms, instead.end_ms) == (taken.start_ms, taken.end_ms + 1)
    assert metrics.puts["taken"]._value.get() == 1


async def test_what_redis_forgot_was_stored_is_not_stored_again(
    device, bus, store, new_worker, packets_of, state_of
):
    """A failover brings back a Redis from before the last cuts; listing the bucket finds what lies there, however it was cut."""
    await device.open()
    await device.say(100)
    before = await bus.client.dump(bus.keys.audio(device.conversation))
    hash_before = await bus.client.dump(bus.keys.conv(device.conversation))
    await bus.ask(device.conversation, "flush")
    # Cut otherwise than the next one would.
    await new_worker(store, limits=Limits(batch_ms=17_000)).drain(device.conversation)
    assert (await state_of()).waiting_samples == 0
    await bus.client.restore(bus.keys.audio(device.conversation), 0, before, replace=True)
    await bus.client.restore(bus.keys.conv(device.conversation), 0, hash_before, replace=True)
    await device.say(3)
    await bus.ask(device.conversation, "end")
    await new_worker(store).drain(device.conversation)
    assert await packets_of(store) == device.sent
    state = await state_of()
    assert (state.waiting_samples, state.settled) == (0, device.session.newest)


async def test_the_bucket_is_listed_once_and_again_after_a_failover(
    redis_process, new_device, memory_store, new_worker
):
    async with Bus(redis_process.url) as bus:
        device = new_device(bus=bus)
        await device.open()
        listing = CountsListings(memory_store)
        worker = new_worker(listing, bus=bus)
        for times in (1, 1, 1):
            await device.say(5)
            await bus.ask(device.conversation, "flush")
            await worker.drain(device.conversation)
            assert listing.count == times
        redis_process.kill()
        redis_process.start()
        await bus.client.connection_pool.disconnect()
        await device.say(5)
        await bus.ask(device.conversation, "flush")
        await worker.drain(device.conversation)
        # Once because Redis' history may be another one, and the batch touches what lies there.
        assert listing.count == 2


async def test_a_deleted_conversation_is_not_stored(device, bus, memory_store, new_worker, state_of, clock):
    await device.open()
    await device.say(5)
    await bus.command("SET", bus.keys.tomb(device.conversation), "1")
    clock.pass_s(60)
    await new_worker(memory_store).drain(device.conversation)
    assert [info async for info in memory_store.list("")] == []
    assert await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag) is not None


async def test_what_is_deleted_while_it_is_put_does_not_stay(
    device, bus, memory_store, new_worker, state_of, clock
):
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")

    class DeletedMeanwhile:
        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *args, **kwargs):
            await bus.command("SET", bus.keys.tomb(device.conversation), "1")
            return await memory_store.put(*args, **kwargs)

    await new_worker(DeletedMeanwhile()).drain(device.conversation)
    assert [info async for info in memory_store.list("")] == []
    state = await state_of()
    assert (state.cut, state.stored_samples) == (None, 0)
    assert state.deleted_samples == state.received_samples > 0


async def test_it_ends_between_two_batches_when_asked_to(
    device, bus, memory_store, new_worker, packets_of, hints, clock
):
    await device.open()
    await device.say(130)
    stopped = []
    put = memory_store.put

    class StopsAtPut:
        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *args, **kwargs):
            stopped.append(True)
            return await put(*args, **kwargs)

    worker = new_worker(StopsAtPut(), stopping=lambda: bool(stopped))
    await worker.drain(device.conversation)
    stored = await packets_of(memory_store)
    assert 0 < len(stored) < len(device.sent)
    # Others find the rest at once.
    assert await hints.schedule(0, clock(), clock() + 30_000) == 1


class CountsListings:
    def __init__(self, real) -> None:
        self._real = real
        self.count = 0

    def __getattr__(self, name):
        if name == "list":
            self.count += 1
        return getattr(self._real, name)
