"""Stories that broke simpler designs, played on the real code: zombies, lost hints, changes between a cut and its retry."""

import asyncio
import dataclasses
import itertools

import pytest

from audiobus import Hints, decode_cut
from audiostore.errors import TransientStoreError
from pusher.cutter import Limits
from tapedeck_testing.draining.gated import Gated

GATES = [
    *((name, on_store, after) for name, on_store in [("put", True)] for after in (False, True)),
    *((name, False, after) for name in ("run", "cut", "finish") for after in (False, True)),
    *(("marks", False, after) for after in (False, True)),
]


@pytest.mark.parametrize(
    ("method", "on_store", "after"),
    GATES,
    ids=[f"{'after' if after else 'before'} {method}" for method, _, after in GATES],
)
@pytest.mark.parametrize("more", [0, 2, 61])
async def test_4_and_5_a_pusher_that_slept_past_its_lease(
    *, method, on_store, after, more, bus, device, memory_store, new_worker, packets_of, state_of, batches
):
    """A reads and pauses; B takes the lease, reads more, cuts, stores, finishes; A goes on with what it had in hand."""
    await device.open()
    await device.say(10)
    await bus.ask(device.conversation, "flush")
    gate = Gated(memory_store if on_store else bus, method, after=after)
    zombie = new_worker(gate if on_store else memory_store, bus=bus if on_store else gate, holder="a").drain(
        device.conversation
    )
    paused = asyncio.create_task(zombie)
    await gate.reached.wait()
    # Its lease ran out.
    await bus.release_lease(device.conversation, "a")
    if more:
        await device.say(more)
        await bus.ask(device.conversation, "flush")
    await new_worker(memory_store, holder="b").drain(device.conversation)
    await device.say(3)
    stored_by_b = await state_of()
    gate.go.set()
    await paused
    state = await state_of()
    assert state.settled >= stored_by_b.settled
    assert state.cut is None
    await bus.ask(device.conversation, "end")
    await new_worker(memory_store, holder="b").drain(device.conversation)
    assert await packets_of(memory_store) == device.sent
    assert (await state_of()).waiting_samples == 0


@pytest.mark.parametrize("put", [False, True], ids=["cut", "put"])
async def test_4_two_pushers_have_read_and_cut_one_after_the_other(
    *, put, bus, device, memory_store, new_worker, packets_of, state_of
):
    """B has read more than A and pauses before its cut; A cuts, and perhaps puts; B goes on, then A."""
    await device.open()
    await device.say(10)
    await bus.ask(device.conversation, "flush")
    standing, gate_a = Gated(memory_store, "put", after=put), Gated(bus, "cut")
    a = asyncio.create_task(new_worker(standing, bus=gate_a, holder="a").drain(device.conversation))
    await gate_a.reached.wait()
    await bus.release_lease(device.conversation, "a")
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    gate_b = Gated(bus, "cut")
    b = asyncio.create_task(new_worker(memory_store, bus=gate_b, holder="b").drain(device.conversation))
    await gate_b.reached.wait()
    # A goes on to just before its put, or just after it: its own cut stands.
    gate_a.go.set()
    await standing.reached.wait()
    cut = (await state_of()).cut
    assert cut is not None
    gate_b.go.set()
    await b
    standing.go.set()
    await a
    assert decode_cut(cut).name in [info.name async for info in memory_store.list("chunks/")]
    assert await packets_of(memory_store) == device.sent
    assert (await state_of()).waiting_samples == 0


async def test_5_a_zombie_that_finishes_does_not_clear_anothers_cut(
    bus, device, memory_store, new_worker, packets_of, state_of
):
    await device.open()
    await device.say(10)
    await bus.ask(device.conversation, "flush")
    gate = Gated(bus, "finish")
    paused = asyncio.create_task(new_worker(memory_store, bus=gate, holder="a").drain(device.conversation))
    await gate.reached.wait()
    await bus.release_lease(device.conversation, "a")
    await new_worker(memory_store, holder="b").drain(device.conversation)
    # B has a cut of its own standing, not yet stored.
    await device.say(10)
    await bus.ask(device.conversation, "flush")
    other = Gated(memory_store, "put")
    working = asyncio.create_task(new_worker(other, holder="b").drain(device.conversation))
    await other.reached.wait()
    standing = (await state_of()).cut
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    # A wakes: its finish is not B's, and it leaves, for the lease is B's by now.
    gate.go.set()
    await paused
    assert (await state_of()).cut == standing
    other.go.set()
    await working
    assert await packets_of(memory_store) == device.sent


async def test_6_the_retry_has_the_name_that_was_written_down(
    bus, device, memory_store, new_worker, packets_of, state_of, metrics, clock
):
    """The put's reply is lost; then the user's level changes; the retry must not write a second object under another name."""
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    worker = new_worker(LostReply(memory_store))
    await worker.drain(device.conversation)
    assert (await state_of()).cut is not None
    await bus.command("HSET", bus.keys.user(device.conversation.uid), "protection", "enhanced")
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    clock.pass_s(10)
    await worker.drain(device.conversation)
    names = [info.name async for info in memory_store.list("chunks/")]
    assert len(names) == 1
    assert names[0].endswith(".batch.bin")
    # What came after is not put in the clear: it waits.
    assert await packets_of(memory_store) == device.sent[:250]
    assert (await state_of()).waiting_samples == 5 * 48_000
    assert metrics.unsealed._value.get() >= 1
    await bus.command("HSET", bus.keys.user(device.conversation.uid), "protection", "standard")
    clock.pass_s(400)
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == device.sent


class LostReply:
    """A store that does the first put, and whose reply gets lost."""

    def __init__(self, real) -> None:
        self._real = real
        self._left = 1

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, *args, **kwargs):
        answer = await self._real.put(*args, **kwargs)
        if self._left:
            self._left -= 1
            raise TransientStoreError("the reply is lost")
        return answer


async def test_7_where_each_session_ended_is_kept(bus, device, new_device, memory_store, new_worker):
    await device.open()
    await device.say(5)
    second = new_device(owner="socket-2")
    await second.open()
    await second.say(5)
    await bus.ask(device.conversation, "flush")
    await new_worker(memory_store).drain(device.conversation)
    opened = await bus.open(
        device.conversation,
        owner="socket-3",
        format="opus:16000:1:312",
        now_ms=device.session.clock(),
        resume=device.session.newest.epoch,
    )
    assert not opened.resumed
    assert opened.previous_offset == device.session.newest.offset


async def test_8_an_open_conversation_stays_on_due_and_needs_no_hint(
    bus, device, hints, memory_store, new_worker, packets_of, clock
):
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    worker = new_worker(memory_store)
    await worker.drain(device.conversation)
    # The next append comes, and its process dies before it can say a word to anybody.
    await device.say(5)
    await hints.make_group(0)
    for _ in range(4):
        clock.pass_s(60)
        await hints.schedule(0, clock(), clock() + 30_000)
        for hint in await hints.take(bus.client, 0, "pusher-1", count=10, block_ms=None):
            await worker.drain(hint.conversation)
            await hints.done(hint)
    assert await packets_of(memory_store) == device.sent


async def test_8_a_conversation_leaves_only_without_a_buffer(
    bus, device, hints, memory_store, new_worker, clock
):
    await device.open()
    await hints.due(device.conversation, clock() + 60_000)
    await bus.note_live(device.conversation, clock())
    worker = new_worker(memory_store)
    clock.pass_s(25 * 3600)
    await worker.drain(device.conversation)
    assert not await bus.buffered(device.conversation)
    assert await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag) is None
    assert await bus.live(device.conversation.uid) == []


@pytest.mark.parametrize("method", ["forget", "buffered", "note_not_live"])
@pytest.mark.parametrize("after", [False, True])
async def test_8_opened_again_while_it_is_forgotten(
    *, method, after, bus, device, hints, memory_store, new_worker, clock, packets_of
):
    await device.open()
    clock.pass_s(25 * 3600)
    await new_worker(memory_store, limits=Limits(idle_ms=1)).drain(device.conversation)
    await device.open()
    clock.pass_s(25 * 3600)
    for call in itertools.count(1):
        gate = Gated(bus, method, call=call, after=after)
        worker = new_worker(memory_store, bus=gate)
        working = asyncio.create_task(worker.drain(device.conversation))
        reached = asyncio.create_task(gate.reached.wait())
        await asyncio.wait({working, reached}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            reached.cancel()
            await working
            break
        # As listen does it: open, and only then note it where pushers look.
        await device.open()
        await device.say(1)
        await hints.due(device.conversation, clock() + 60_000)
        await bus.note_live(device.conversation, clock())
        gate.go.set()
        await working
        assert await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag) is not None
        assert await bus.live(device.conversation.uid) == [device.conversation]
        clock.pass_s(25 * 3600)
    await new_worker(memory_store).drain(device.conversation)
    assert await packets_of(memory_store) == device.sent


@pytest.mark.parametrize("method", ["command", "buffered"])
@pytest.mark.parametrize("after", [False, True])
async def test_8_opened_between_any_two_steps_of_leaving(
    *, method, after, bus, device, hints, conversation, clock
):
    """Off first, look second, back third: whichever comes first, the look or the opening, it is on `due` at the end."""
    for call in itertools.count(1):
        gate = Gated(bus, method, call=call, after=after)
        task = asyncio.create_task(Hints(gate).leave(conversation, clock()))
        reached = asyncio.create_task(gate.reached.wait())
        await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            reached.cancel()
            await task
            break
        await device.open()
        await hints.due(conversation, clock() + 60_000)
        gate.go.set()
        await task
        assert await bus.command("ZSCORE", bus.keys.due(0), conversation.tag) is not None
        await bus.command("DEL", bus.keys.audio(conversation))
    assert call > 1


async def test_9_a_busy_lease_puts_it_on_due_before_the_hint_goes(
    bus, device, hints, memory_store, new_worker, clock
):
    await device.open()
    await device.say(1)
    await bus.take_lease(device.conversation, "somebody else", 30_000)
    await new_worker(memory_store).drain(device.conversation)
    score = await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag)
    assert clock() < float(score) <= clock() + 30_000


async def test_9_storing_is_asked_for_while_another_pusher_is_about_to_leave(
    bus, device, memory_store, new_worker, packets_of
):
    """The hint meets a busy lease; whoever holds it looks once more before it gives it back."""
    await device.open()
    await device.say(5)
    gate = Gated(Hints(bus), "push_due", after=True)
    worker = new_worker(memory_store, holder="a")
    worker._departure = dataclasses.replace(worker._departure, hints=gate)
    working = asyncio.create_task(worker.drain(device.conversation))
    await gate.reached.wait()
    await bus.ask(device.conversation, "finalize")
    await new_worker(memory_store, holder="b").drain(device.conversation)
    gate.go.set()
    await working
    assert await packets_of(memory_store) == device.sent


@pytest.mark.parametrize("changed", [{"channels": 2}, {"source": "pcm16"}], ids=["channel count", "format"])
async def test_19_the_retry_has_the_entries_that_were_written_down(
    *, changed, bus, device, new_device, memory_store, new_worker, packets_of, batches, state_of, clock
):
    """The put's reply is lost; then the device comes back with another format; the retry makes the very same object."""
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "flush")
    worker = new_worker(LostReply(memory_store))
    await worker.drain(device.conversation)
    first = decode_cut((await state_of()).cut)
    data = await memory_store.get(first.name)
    other = new_device(owner="socket-2", **changed)
    await other.open()
    await other.say(5)
    await bus.ask(device.conversation, "end")
    clock.pass_s(10)
    await worker.drain(device.conversation)
    assert await memory_store.get(first.name) == data
    assert await packets_of(memory_store) == device.sent + other.sent
    assert [(batch.source, batch.channels) for batch in await batches(memory_store)] == [
        ("opus", 1),
        (changed.get("source", "opus"), changed.get("channels", 1)),
    ]
    assert (await state_of()).waiting_samples == 0


async def test_20_two_sessions_want_the_same_name(
    bus, new_device, memory_store, new_worker, packets_of, batches, clock
):
    """Two recordings of the very same time, one after the other was stored: the second one ends a millisecond later."""
    first, second = new_device(), new_device(owner="socket-2")
    start = clock()
    await first.open()
    await first.say(5)
    await bus.ask(first.conversation, "end")
    await new_worker(memory_store).drain(first.conversation)
    clock.ms = start
    await second.open()
    second.session.run_start_ms = first.session.run_start_ms
    await second.say(5)
    await bus.ask(first.conversation, "end")
    await new_worker(memory_store).drain(first.conversation)
    names = sorted([info.name async for info in memory_store.list("chunks/")])
    assert len(names) == 2
    found = await batches(memory_store)
    assert [batch.spans[0].packets for batch in found] == [
        tuple(one for _, one in first.sent),
        tuple(one for _, one in second.sent),
    ]
    assert names[0][:-15] == names[1][:-15]
