"""A worker and deletions: before the put, after it, and until nothing can come back."""

import asyncio

import pytest

from audiobus import Bus
from audiobus.census import exact, exact_totals
from audiobus.deletions import gone, set_tombstone, set_user_tombstone, unstore
from audiobus.errors import BusUnavailableError
from audiostore.errors import TransientStoreError
from pusher.books import Books
from pusher.census import Census
from pusher.sweeper import UNTIL_MS
from pusher.unstored import Unstored
from servicekit.metrics import Metrics


async def names(store) -> list[str]:
    return [info.name async for info in store.list("")]


async def due_ms(bus, conversation) -> float | None:
    score = await bus.command("ZSCORE", bus.keys.due(0), conversation.tag)
    return None if score is None else float(score)


class Paused:
    """A store whose put waits: before it is carried out, or after."""

    def __init__(self, real, *, after: bool = False) -> None:
        self._real = real
        self._after = after
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, *args, **kwargs):
        info = await self._real.put(*args, **kwargs) if self._after else None
        self.reached.set()
        await self.go.wait()
        return info or await self._real.put(*args, **kwargs)


async def test_a_deleted_conversation_is_swept_until_no_put_can_be_under_way(
    device, bus, memory_store, new_worker, hints, clock, conversation
):
    await device.open()
    await device.say(70)
    await new_worker(memory_store).drain(conversation)
    assert len(await names(memory_store)) == 1
    await set_tombstone(bus, conversation, clock())
    begun = clock()
    worker = new_worker(memory_store)
    looks = 0
    while looks == 0 or await due_ms(bus, conversation) is not None:
        await worker.drain(conversation)
        assert await names(memory_store) == []
        # A put that was on its way.
        if clock() < begun + UNTIL_MS:
            late = f"chunks/{conversation.tag}/1.000-2.00{looks % 10}.batch.bin"
            await memory_store.put(late, b"x", content_type="audio/ogg", metadata={})
        clock.ms = int(await due_ms(bus, conversation) or clock.ms)
        looks += 1
        assert looks < 30
    assert clock() >= begun + UNTIL_MS
    assert await bus.live(conversation.uid) == []
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.deleted) == (0, balance.received)
    assert balance.received == 70 * 48_000 - 312


@pytest.mark.parametrize("after", [False, True])
async def test_13_a_put_that_lands_after_the_conversation_was_deleted_does_not_stay(
    device, bus, memory_store, new_worker, clock, conversation, *, after
):
    """A is about to put, or has put; the conversation is deleted and swept by B; A goes on."""
    await device.open()
    await device.say(5)
    await bus.ask(conversation, "flush")
    paused = Paused(memory_store, after=after)
    zombie = asyncio.create_task(new_worker(paused, holder="a").drain(conversation))
    await paused.reached.wait()
    await bus.release_lease(conversation, "a")
    await set_tombstone(bus, conversation, clock())
    await new_worker(memory_store, holder="b").drain(conversation)
    paused.go.set()
    await zombie
    assert await names(memory_store) == []
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.deleted) == (0, balance.received)
    assert await due_ms(bus, conversation) is not None


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies", [False, True])
async def test_what_a_user_deletes_during_a_put_does_not_stay_and_the_rest_is_stored_once(
    device, bus, memory_store, new_worker, clock, conversation, packets_of, *, after, dies
):
    """A is about to put a cut, or has put it; the user deletes the first half of it; B drains; A goes on, or is no more."""
    await device.open()
    await device.say(10)
    half = clock() + 1
    await device.say(10)
    await bus.ask(conversation, "flush")
    paused = Paused(memory_store, after=after)
    zombie = asyncio.create_task(new_worker(paused, holder="a").drain(conversation))
    await paused.reached.wait()
    await set_user_tombstone(bus, conversation.uid, half)
    await bus.release_lease(conversation, "a")
    if dies:
        zombie.cancel()
        await asyncio.wait([zombie])
    await new_worker(memory_store, holder="b").drain(conversation)
    if not dies:
        paused.go.set()
        await zombie
    sent = device.session.sent
    assert await packets_of(memory_store) == sent[len(sent) // 2 :]
    balance = await exact(bus, conversation)
    assert balance.difference == balance.waiting == 0
    assert balance.deleted == 10 * 48_000 - 312
    # Until nobody can put it any more, whoever looks deletes it.
    [first] = await gone(bus, conversation)
    await memory_store.put(first, b"late", content_type="audio/ogg", metadata={})
    clock.pass_s(UNTIL_MS / 1000)
    await new_worker(memory_store).drain(conversation)
    assert await packets_of(memory_store) == sent[len(sent) // 2 :]
    assert first not in await names(memory_store)
    assert not (await bus.state(conversation)).gone


async def test_a_chunk_that_comes_late_is_deleted_too(
    device, bus, memory_store, new_worker, clock, conversation, packets_of, monkeypatch
):
    """`listen` had it in hand when its user deleted what they had; it comes when the buffer has just been found clear."""
    await device.open()
    await device.say(5)
    late = device.session.chunk(tuple(packet for _, packet in device.session.sent[:50]))
    del device.session.sent[:]
    clock.pass_s(1)
    await set_user_tombstone(bus, conversation.uid, clock())
    clock.pass_s(3600)
    worker = new_worker(memory_store)
    await worker.drain(conversation)
    await bus.ask(conversation, "flush")
    plan = worker._planner.plan
    came = False

    async def plan_after_it_came(*args, **given):
        nonlocal came
        if not came:
            came = True
            await device.append(late)
            await device.say(1)
            await bus.ask(conversation, "flush")
            args = (*args[:3], None)  # what was read before it came is read anew
        return await plan(*args, **given)

    monkeypatch.setattr(worker._planner, "plan", plan_after_it_came)
    await worker.drain(conversation)
    assert await packets_of(memory_store) == device.session.sent
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.waiting, balance.stored) == (0, 0, 48_000)


async def test_what_lies_under_a_deleted_name_does_not_count_as_stored(
    device, bus, memory_store, new_worker, clock, conversation, packets_of
):
    """Redis forgot; the bucket holds the audio in an object that is about to be deleted, and in no other."""
    await device.open()
    await device.say(5)
    await bus.ask(conversation, "flush")
    kept = {
        key: await bus.command("DUMP", key)
        for key in (bus.keys.audio(conversation), bus.keys.conv(conversation))
    }
    await new_worker(memory_store).drain(conversation)
    [name] = await names(memory_store)
    for key, value in kept.items():
        await bus.command("RESTORE", key, 0, value, "REPLACE")
    await unstore(bus, conversation, {name: 0}, clock())
    await new_worker(memory_store).drain(conversation)
    assert await packets_of(memory_store) == device.session.sent
    assert await names(memory_store) != [name]


async def test_deleted_audio_leaves_redis_while_the_bucket_is_away(
    device, bus, memory_store, new_worker, clock, conversation, failing_store
):
    await device.open()
    await device.say(5)
    await bus.ask(conversation, "flush")
    away = failing_store(memory_store, [TransientStoreError("away") for _ in range(99)])
    worker = new_worker(away)
    while worker.buckets.well:
        await worker.drain(conversation)
        clock.pass_s(5)
    await set_user_tombstone(bus, conversation.uid, clock())
    await worker.drain(conversation)
    assert (await exact(bus, conversation)).waiting == 0
    await device.say(5)
    await set_tombstone(bus, conversation, clock())
    await worker.drain(conversation)
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.deleted) == (0, 10 * 48_000 - 312)
    assert await due_ms(bus, conversation) is not None


async def test_a_tombstone_that_nobody_can_read_is_no_reason_to_put(
    device, bus, memory_store, new_worker, conversation, monkeypatch
):
    await device.open()
    await device.say(5)
    await bus.ask(conversation, "flush")

    run = bus.run

    async def away(name, *args):
        if name == "rules":
            raise BusUnavailableError("away")
        return await run(name, *args)

    monkeypatch.setattr(bus, "run", away)
    with pytest.raises(BusUnavailableError):
        await new_worker(memory_store).drain(conversation)
    assert await names(memory_store) == []


async def test_on_a_cluster(
    redis_cluster_url, prefix, new_device, memory_store, new_worker, clock, packets_of
):
    """Where the tombstones of users and of conversations lie in different slots, and conversations on different servers."""
    async with Bus(redis_cluster_url, prefix=prefix) as bus:
        devices = [new_device(bus=bus, conversation=f"c{number}") for number in range(6)]
        for device in devices:
            await device.open()
            await device.say(2)
        before_ms = clock() + 1
        for device in devices:
            await device.say(2)
            await bus.ask(device.conversation, "flush")
        await set_user_tombstone(bus, "alice", before_ms)
        metrics = Metrics("pusher", "0")
        await Census(bus, Books(metrics), Unstored(), "one").tick()
        worker = new_worker(memory_store, bus=bus)
        for device in devices:
            await worker.drain(device.conversation)
        await set_tombstone(bus, devices[0].conversation, clock())
        await worker.drain(devices[0].conversation)
        total, wrong = await exact_totals(bus)
        assert not wrong
        kept = {
            device.conversation: await packets_of(memory_store, device.conversation) for device in devices
        }
        assert kept.pop(devices[0].conversation) == []
        # Each spoke after the one before it: of the first ones nothing is left, of the last one the second half.
        assert kept[devices[-1].conversation] == devices[-1].sent[100:]
        assert total.stored == sum(960 * len(packets) for packets in kept.values()) > 0
        assert total.received == total.stored + total.deleted
        shown = metrics.registry.get_sample_value("tapedeck_audio_balance_seconds", {"part": "received"})
        assert shown == total.received / 48_000
