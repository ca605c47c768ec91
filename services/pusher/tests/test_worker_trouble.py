"""The worker when something is wrong: the store, an entry, a cut, Redis."""

import asyncio

import msgspec
import pytest

from audiobus import Bus, Cut
from audiobus.cut import VERSION
from audiobus.errors import BusRefusedError, BusUnavailableError
from audiostore.errors import StoreConfigurationError, TooLargeError, TransientStoreError
from pusher.circuit import OPENS_AFTER
from pusher.dispatch import Dispatch


async def test_failed_puts_leave_everything_and_are_tried_without_end(
    *, device, bus, store, new_worker, failing_store, packets_of, state_of, clock, metrics
):
    """A bucket that is away: it is tried every second or two, for as long as it takes."""
    await device.open()
    await device.say(70)
    await bus.ask(device.conversation, "end")
    failing = failing_store(store, [TransientStoreError("away")] * 40)
    worker = new_worker(failing)
    delays = []
    while failing.errors:
        await worker.drain(device.conversation)
        assert await packets_of(store) == []
        assert (await state_of()).waiting_samples == 70 * 48_000 - 312
        due = float(await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag))
        delays.append(due - clock())
        assert await bus.take_lease(device.conversation, "anybody", 1)
        await bus.release_lease(device.conversation, "anybody")
        # A hint that comes earlier changes nothing.
        before = len(failing.errors)
        await worker.drain(device.conversation)
        assert len(failing.errors) == before
        clock.ms = int(due)
    assert 500 <= delays[0] <= 1_000
    assert all(delay <= 10_000 for delay in delays)
    assert all(1_000 <= delay <= 2_000 for delay in delays[OPENS_AFTER:])
    await worker.drain(device.conversation)
    assert await packets_of(store) == device.sent
    assert metrics.puts["failed"]._value.get() == 40
    assert device.conversation not in worker.retries


async def test_what_fails_for_one_conversation_alone_is_tried_without_end_with_growing_pauses(
    device, new_device, bus, memory_store, new_worker, packets_of, clock
):
    """Its object cannot be put, all others can: the bucket is not away, and they do not wait for it."""
    other = new_device(conversation="other")

    class OneObject:
        fails = True

        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, name, *args, **kwargs):
            if self.fails and device.conversation.cid in name:
                raise TransientStoreError("this object alone")
            return await memory_store.put(name, *args, **kwargs)

    failing = OneObject()
    worker = new_worker(failing)
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    await other.open()
    delays = []
    for _ in range(14):
        await worker.drain(device.conversation)
        due = float(await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag))
        delays.append(due - clock())
        await other.say(1)
        await bus.ask(other.conversation, "end")
        await worker.drain(other.conversation)
        assert await packets_of(memory_store, other.conversation) == other.sent
        clock.ms = int(due)
    assert all(150_000 <= delay <= 300_000 for delay in delays[9:])
    failing.fails = False
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == device.sent


async def test_a_store_that_is_set_up_wrong_keeps_everything_too_and_says_so_loudly(
    device, bus, memory_store, new_worker, failing_store, packets_of, clock, caplog
):
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    worker = new_worker(failing_store(memory_store, [StoreConfigurationError("no such bucket")]))
    await worker.drain(device.conversation)
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert "no such bucket" in caplog.records[0].error
    clock.pass_s(2)
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == device.sent


async def test_one_conversations_trouble_is_not_anothers(
    device, new_device, bus, memory_store, new_worker, failing_store, packets_of
):
    other = new_device(conversation="other")
    for one in (device, other):
        await one.open()
        await one.say(5)
        await bus.ask(one.conversation, "end")
    worker = new_worker(failing_store(memory_store, [TransientStoreError("away")]))
    await worker.drain(device.conversation)
    await worker.drain(other.conversation)
    assert await packets_of(memory_store, other.conversation) == other.sent


async def test_an_entry_that_does_not_parse_is_buried_and_the_rest_stored(
    *, packets, device, bus, store, new_worker, packets_of, state_of, metrics
):
    await device.open()
    await device.say(2)
    whole = device.session.chunk(packets(50))
    del device.sent[-50:]
    await device.append(whole, msgspec.structs.replace(whole.chunk, trim=9).encode())
    await device.say(2)
    await bus.ask(device.conversation, "end")
    await new_worker(store).drain(device.conversation)
    assert await packets_of(store) == device.sent
    letters = await bus.client.hgetall(bus.keys.dead(device.conversation))
    assert list(letters) == [str(whole.id).encode()]
    assert whole.chunk.packets[7] in next(iter(letters.values()))
    # `stored` in acks stops before it, and the sums hold.
    stands = await bus.stored(device.conversation, whole.id.epoch)
    assert (stands.settled, stands.dead_offset) == (device.session.newest, whole.chunk.first_offset)
    assert metrics.dead["unreadable"]._value.get() == 1
    assert metrics.dead_letters.value == 1
    state = await state_of()
    assert state.settled == device.session.newest
    assert (state.dead_samples, state.waiting_samples) == (48_000, 0)


async def test_entries_that_no_file_can_hold_are_found_and_buried(
    packets, device, bus, store, new_worker, packets_of, metrics
):
    await device.open()
    await device.say(9)
    # It parses; but no batch may name such a source.
    device.session.source = "No Source!"
    poison = device.session.chunk(packets(50))
    del device.sent[-50:]
    await device.append(poison)
    device.session.source = "opus"
    await device.say(9)
    await bus.ask(device.conversation, "end")
    await new_worker(store).drain(device.conversation)
    assert await packets_of(store) == device.sent
    assert await bus.client.hkeys(bus.keys.dead(device.conversation)) == [str(poison.id).encode()]
    assert metrics.dead["unbuildable"]._value.get() == 1


async def test_a_cut_of_another_version_waits_for_a_build_that_knows_it(
    device, bus, memory_store, new_worker, clock, caplog
):
    await device.open()
    await device.say(5)
    cut = Cut(VERSION + 1, "1-0", "2-0", "x", "standard", "size")
    await bus.client.hset(bus.keys.conv(device.conversation), "cut", cut.encode())
    await new_worker(memory_store).drain(device.conversation)
    assert "version 2" in caplog.records[-1].error
    assert await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag) is not None


async def test_redis_going_away_leaves_the_hint(device, bus, memory_store, new_worker):
    await device.open()
    await device.say(5)

    class Away:
        def __getattr__(self, name):
            return getattr(bus, name)

        async def run(self, name, *args):
            if name == "rules":
                raise BusUnavailableError("away")
            return await bus.run(name, *args)

    with pytest.raises(BusUnavailableError):
        await new_worker(memory_store, bus=Away()).drain(device.conversation)
    # The lease was given back as far as that was possible.
    assert await bus.take_lease(device.conversation, "somebody else", 1000)


async def test_a_right_that_redis_took_away_leaves_hint_and_audio_and_buries_nothing(
    redis_process, prefix, new_device, memory_store, new_worker, packets_of
):
    async with Bus(redis_process.url, prefix=prefix) as own:
        device = new_device(bus=own)
        await device.open()
        await device.say(5)
        await own.ask(device.conversation, "end")
        worker = new_worker(memory_store, bus=own)
        for right in ("hset", "xrange", "evalsha"):
            await own.command("ACL", "SETUSER", "default", f"-{right}")
            with pytest.raises(BusRefusedError):
                await worker.drain(device.conversation)
            await own.command("ACL", "SETUSER", "default", f"+{right}")
        assert await own.client.hlen(own.keys.dead(device.conversation)) == 0
        assert await packets_of(memory_store) == []
        await worker.drain(device.conversation)
        assert await packets_of(memory_store) == device.sent


async def test_a_flush_does_not_wait_for_the_end_of_a_long_pause(
    *, device, bus, hints, memory_store, new_worker, failing_store, packets_of, clock, eventually
):
    await device.open()
    await device.say(3)
    await bus.ask(device.conversation, "end")
    worker = new_worker(failing_store(memory_store, [TooLargeError("mended later")] * 12))
    while worker.store.errors:
        await worker.drain(device.conversation)
        clock.pass_s(300)
    clock.pass_s(-250)
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == []
    await hints.make_group(0)
    await bus.ask(device.conversation, "flush")
    await hints.ready(device.conversation, "flush")
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, worker.drain, hints.done, wished=worker.retries.hurry)
        (hint,) = await hints.take(bus.client, 0, "pusher-1", count=1, block_ms=None)
        assert dispatch.take(hint)

        async def stored():
            return await packets_of(memory_store) == device.sent

        await eventually(stored, "it is stored")
