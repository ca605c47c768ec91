"""What was deleted leaves Redis: entries, dead letters, pre-roll, and the books know."""

import pytest

from audiobus.census import exact
from audiobus.deletions import gone, set_tombstone, set_user_tombstone
from audiobus.errors import BadEntryError
from pusher.clearing import LATE_MS, Cleared, Clearing
from pusher.usage_notes import UsageNotes
from tapedeck_testing.draining.steps import Killed


@pytest.fixture
def new_clearing(bus, metrics):
    return lambda: Clearing(bus, metrics.books, UsageNotes())


@pytest.fixture
def clearing(new_clearing) -> Clearing:
    return new_clearing()


async def cleared(clearing, bus, conversation, clock) -> Cleared:
    return await clearing.clear(conversation, await bus.state(conversation), clock())


async def offsets(bus, conversation) -> list[int]:
    return [entry.id.offset for entry in await bus.read(conversation, count=1_000)]


async def test_without_tombstones_nothing_happens(device, clearing, bus, conversation, clock):
    await device.open()
    await device.say(3)
    assert await cleared(clearing, bus, conversation, clock) is Cleared.NOTHING
    assert clearing.before_ms(conversation) == 0
    assert len(await offsets(bus, conversation)) == 4


async def test_what_a_user_recorded_before_goes_and_what_came_after_stays(
    device, clearing, bus, conversation, clock, metrics, state_of
):
    await device.open()
    await device.say(5)
    before_ms = clock() + 1
    await device.say(5)
    await set_user_tombstone(bus, conversation.uid, before_ms)
    assert await cleared(clearing, bus, conversation, clock) is Cleared.SOME
    assert await offsets(bus, conversation) == [30_000, 35_000, 40_000, 45_000, 50_000]
    state = await state_of()
    assert (state.settled.offset, state.deleted_samples) == (25_000, 5 * 48_000 - 312)
    assert (await exact(bus, conversation)).difference == 0
    assert metrics.process.registry.get_sample_value("tapedeck_audio_deleted_seconds_total") == pytest.approx(
        5 - 312 / 48_000
    )
    assert await cleared(clearing, bus, conversation, clock) is Cleared.NOTHING
    assert clearing.before_ms(conversation) == before_ms


async def test_a_session_that_only_began_before_stays(device, clearing, bus, conversation, clock):
    await device.open()
    await set_user_tombstone(bus, conversation.uid, clock() + 1)
    await device.say(1)
    assert await cleared(clearing, bus, conversation, clock) is Cleared.NOTHING
    assert await offsets(bus, conversation) == [0, 5_000]


async def test_entries_that_came_by_another_clock_are_found_in_the_middle(
    device, clearing, bus, conversation, clock, state_of
):
    await device.open()
    await device.say(2)
    early = clock()
    clock.pass_s(60)
    await device.say(1)
    clock.ms = early
    await device.say(1)
    clock.pass_s(120)
    await set_user_tombstone(bus, conversation.uid, early + 30_000)
    assert await cleared(clearing, bus, conversation, clock) is Cleared.SOME
    assert await offsets(bus, conversation) == [15_000]
    assert (await state_of()).settled.offset == 10_000
    assert (await exact(bus, conversation)).difference == 0


async def test_what_is_deleted_behind_a_chunk_of_a_clock_far_ahead_is_found(
    device, bus, memory_store, new_worker, clock, conversation, packets_of
):
    """Two hosts' clocks may be further apart than audio is ever late: a drain that does not see this one never ends."""
    await device.open()
    right_ms = clock()
    clock.pass_s(2 * LATE_MS / 1000)
    await device.say(1)
    clock.ms = right_ms
    await device.say(1)
    await set_user_tombstone(bus, conversation.uid, right_ms + 5_000)
    clock.pass_s(4 * LATE_MS / 1000)
    await new_worker(memory_store).drain(conversation)
    assert await offsets(bus, conversation) == []
    assert await packets_of(memory_store) == device.sent[:50]
    assert (await exact(bus, conversation)).difference == 0


async def test_a_cut_over_deleted_audio_is_given_up_and_its_object_noted(
    device, clearing, bus, conversation, clock, state_of, new_worker, memory_store, failing_store
):
    await device.open()
    await device.say(5)
    await bus.ask(conversation, "flush")

    class Hangs:
        def __getattr__(self, name):
            return getattr(memory_store, name)

        async def put(self, *_, **__):
            raise Killed

    with pytest.raises(Killed):
        await new_worker(Hangs()).drain(conversation)
    assert (await state_of()).cut is not None
    await set_user_tombstone(bus, conversation.uid, clock() + 1)
    assert await cleared(clearing, bus, conversation, clock) is Cleared.SOME
    state = await state_of()
    assert (state.cut, state.gone) == (None, True)
    [name] = await gone(bus, conversation)
    assert name.startswith(f"chunks/{conversation.tag}/")
    assert await offsets(bus, conversation) == []


async def test_the_preroll_goes_with_what_it_was_taken_from(
    device, clearing, bus, conversation, clock, state_of, new_worker, memory_store
):
    await device.open()
    await device.say(70)
    await new_worker(memory_store).drain(conversation)
    state = await state_of()
    assert state.preroll is not None
    # All that waits came later, but the next batch would begin with what was heard before.
    await set_user_tombstone(
        bus, conversation.uid, state.preroll.run_start_ms + state.preroll.next_sample // 48
    )
    assert await cleared(clearing, bus, conversation, clock) is Cleared.SOME
    after = await state_of()
    assert (after.preroll, after.settled) == (None, state.settled)
    assert await cleared(clearing, bus, conversation, clock) is Cleared.NOTHING


async def test_damaged_entries_and_dead_letters_go_too(
    device, clearing, bus, conversation, clock, new_worker, memory_store, state_of
):
    await device.open()
    for one in device.session.speech(3):
        await device.append(one, None if one.id.offset == 15_000 else b"\xc1 damaged")
    await bus.ask(conversation, "flush")
    await new_worker(memory_store).drain(conversation)
    assert (await state_of()).dead_samples == 2 * 48_000 - 312
    [poison] = device.session.speech(1)
    await device.append(poison, b"\xc1 damaged")
    clock.pass_s(1)
    await set_user_tombstone(bus, conversation.uid, clock())
    assert await cleared(clearing, bus, conversation, clock) is Cleared.SOME
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.dead, balance.waiting, balance.deleted) == (0, 0, 0, 3 * 48_000 - 312)


async def test_a_letter_put_there_by_hand_stops_nothing(
    device, clearing, bus, conversation, clock, new_worker, memory_store, caplog
):
    await device.open()
    [poison] = device.session.speech(1)
    await device.append(poison, b"\xc1 damaged")
    await bus.ask(conversation, "flush")
    await new_worker(memory_store).drain(conversation)
    await bus.command("HSET", bus.keys.dead(conversation), f"{poison.id.epoch}-7", b"\xc1")
    await device.say(1)
    clock.pass_s(1)
    await set_user_tombstone(bus, conversation.uid, clock())
    assert await cleared(clearing, bus, conversation, clock) is Cleared.SOME
    assert (await bus.state(conversation)).waiting_samples == 0
    assert "cannot be dropped" in caplog.text


async def test_a_cleared_buffer_is_not_read_again_when_nothing_old_can_come(
    device, new_clearing, bus, conversation, clock, monkeypatch
):
    clearing = new_clearing()
    await device.open()
    await set_user_tombstone(bus, conversation.uid, clock())
    clock.pass_s(LATE_MS / 1000)
    await device.say(1)
    reads = 0
    read = bus.read

    async def counted(*args, **kwargs):
        nonlocal reads
        reads += 1
        return await read(*args, **kwargs)

    monkeypatch.setattr(bus, "read", counted)
    for _ in range(3):
        assert await cleared(clearing, bus, conversation, clock) is Cleared.NOTHING
    assert reads == 1
    # Redis has gone back: what was dropped may be there again.
    await bus.command("HSET", bus.keys.conv(conversation), "newest", f"{device.session.newest.epoch}-0")
    assert await cleared(clearing, bus, conversation, clock) is Cleared.NOTHING
    assert reads == 2
    await set_user_tombstone(bus, conversation.uid, clock() + 1)
    assert await cleared(clearing, bus, conversation, clock) is Cleared.SOME
    await bus.command("DEL", bus.keys.user_tomb(conversation.uid))
    assert await cleared(clearing, bus, conversation, clock) is Cleared.NOTHING
    assert clearing.before_ms(conversation) == 0


async def test_a_long_buffer_is_looked_through_in_pages(
    device, clearing, bus, conversation, clock, monkeypatch
):
    monkeypatch.setattr("pusher.clearing.PAGE", 2)
    monkeypatch.setattr("pusher.clearing.AT_ONCE", 2)
    await device.open()
    await device.say(5)
    before_ms = clock() + 1
    clock.pass_s(LATE_MS / 1000)
    await device.say(9)
    await set_user_tombstone(bus, conversation.uid, before_ms)
    assert await cleared(clearing, bus, conversation, clock) is Cleared.SOME
    assert len(await offsets(bus, conversation)) == 9
    assert (await exact(bus, conversation)).difference == 0


async def test_a_conversation_under_a_tombstone_is_swept(device, clearing, bus, conversation, clock, metrics):
    await device.open()
    await device.say(5)
    assert await clearing.sweep(conversation, clock()) is None
    await set_tombstone(bus, conversation, clock())
    assert await cleared(clearing, bus, conversation, clock) is Cleared.ALL
    swept = await clearing.sweep(conversation, clock())
    assert (swept.samples, swept.since_ms) == (5 * 48_000 - 312, clock())
    assert (await exact(bus, conversation)).waiting == 0
    # What it used is still to be paid.
    assert await bus.command("KEYS", f"{bus.keys.prefix}usage*")


async def test_a_user_s_tombstone_that_is_none_is_told(device, clearing, bus, conversation, clock):
    await device.open()
    await bus.command("SET", bus.keys.user_tomb(conversation.uid), "soon")
    with pytest.raises(BadEntryError, match="no time"):
        await cleared(clearing, bus, conversation, clock)
