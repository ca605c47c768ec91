"""Stories in which simpler designs lost or doubled audio, played on the real scripts. The numbers are docs/interleavings.md's."""

from audiobus import (
    Appended,
    Bus,
    Cut,
    CutStands,
    EntryId,
    Hints,
    Misplaced,
    Replaced,
    SettledMoved,
)
from audiobus.bus import QUIET_MS
from audiobus.errors import BusUnavailableError


def cut_of(first: EntryId, last: EntryId) -> Cut:
    return Cut(
        version=1,
        first=str(first),
        last=str(last),
        name=f"chunks/user-1/conv-1/{first}-{last}.batch.bin",
        protection="standard",
        reason="size",
    )


async def finish(bus: Bus, conversation, cut: Cut) -> bool:
    return await bus.finish(
        conversation, cut.encode(), last=cut.last_id, preroll=None, samples=0, ends={}, now_ms=0
    )


async def chunks_in(bus: Bus, conversation) -> list[bytes]:
    return [entry.chunk for entry in await bus.read(conversation, count=100) if entry.chunk is not None]


async def test_story_1_a_half_open_socket_flushes_after_another_has_resumed(
    recorder, another, bus, conversation
):
    opened = await recorder.open()
    await recorder.append(1)
    newer = another()
    resumed = await newer.open(resume=opened.epoch)
    assert resumed.offset == 1
    assert isinstance(await recorder.append(5), Replaced)
    assert isinstance(await newer.append(6), Appended)
    assert await chunks_in(bus, conversation) == [b"0..1", b"1..6"]


async def test_story_1_told_the_other_way_round(recorder, another, bus, conversation):
    opened = await recorder.open()
    await recorder.append(1)
    await recorder.append(5)
    newer = another()
    assert (await newer.open(resume=opened.epoch)).offset == 5
    assert isinstance(await newer.append(6), Appended)
    assert await chunks_in(bus, conversation) == [b"0..1", b"1..5", b"5..6"]


async def test_story_2_memory_is_freed_between_two_chunks_of_a_pipeline(
    redis_process, recorder_on, conversation
):
    async with Bus(redis_process.url) as bus:
        recorder = recorder_on(bus)
        await recorder.open()
        k = recorder.request(100)
        k_plus_1 = recorder.request(200, before=k.id)
        await bus.command("CONFIG", "SET", "maxmemory", "1")
        try:
            await bus.append(k)
        except BusUnavailableError:
            await bus.command("CONFIG", "SET", "maxmemory", "0")
        assert await bus.append(k_plus_1) == Misplaced(EntryId(k.id.epoch, 0))
        assert isinstance(await bus.append(k), Appended)
        assert isinstance(await bus.append(k_plus_1), Appended)
        assert await chunks_in(bus, conversation) == [b"0..100", b"100..200"]


async def test_story_3_a_failover_drops_an_acked_chunk(recorder, bus, conversation):
    await recorder.open()
    await recorder.append(100)
    keys = (bus.keys.conv(conversation), bus.keys.audio(conversation))
    replica = [await bus.command("DUMP", key) for key in keys]
    acked = recorder.request(200)
    await bus.append(acked)
    for key, dump in zip(keys, replica, strict=True):  # the new master lacks the newest write
        await bus.command("RESTORE", key, 0, dump, "REPLACE")
    following = recorder.request(300, before=acked.id)
    answer = await bus.append(following)
    assert answer == Misplaced(EntryId(acked.id.epoch, 100))  # no silent hole
    for request in (acked, following):  # the tail is written again, in order
        assert isinstance(await bus.append(request), Appended)
    assert await chunks_in(bus, conversation) == [b"0..100", b"100..200", b"200..300"]


async def test_story_4_two_pushers_cut_the_same_buffer(recorder, bus, conversation):
    opened = await recorder.open()
    await recorder.append(100)
    settled_as_a_read = (await bus.state(conversation)).settled
    cut_a = cut_of(EntryId(opened.epoch, 0), EntryId(opened.epoch, 100))
    await recorder.append(200)
    settled_as_b_read = (await bus.state(conversation)).settled  # A's lease is over; B sees more, and no cut
    cut_b = cut_of(EntryId(opened.epoch, 0), EntryId(opened.epoch, 200))
    assert await bus.cut(conversation, cut_a, settled=settled_as_a_read) == CutStands()
    assert await finish(bus, conversation, cut_a)
    assert await bus.cut(conversation, cut_b, settled=settled_as_b_read) == SettledMoved(cut_a.last_id)
    assert await chunks_in(bus, conversation) == [b"100..200"]


async def test_story_5_a_zombie_finishes_an_older_cut(recorder, bus, conversation):
    opened = await recorder.open()
    for end in (100, 200):
        await recorder.append(end)
    old = cut_of(EntryId(opened.epoch, 0), EntryId(opened.epoch, 100))
    await bus.cut(conversation, old, settled=None)
    await finish(bus, conversation, old)
    newer = cut_of(EntryId(opened.epoch, 200), EntryId(opened.epoch, 200))
    await bus.cut(conversation, newer, settled=old.last_id)
    assert not await finish(bus, conversation, old)
    state = await bus.state(conversation)
    assert (state.cut, state.settled) == (newer.encode(), old.last_id)


async def test_story_7_the_last_ack_of_a_session_is_lost_and_another_takes_over(
    recorder, another, bus, conversation, now_ms
):
    e1 = await recorder.open()
    await recorder.append(100)  # stored, but the client never saw the ack
    e2 = await another().open(now_ms=now_ms + 10)
    cut = cut_of(EntryId(e1.epoch, 0), EntryId(e2.epoch, 0))
    await bus.cut(conversation, cut, settled=None)
    await finish(bus, conversation, cut)
    e3 = await another().open(resume=e1.epoch, now_ms=now_ms + 20)
    assert not e3.resumed
    assert e3.previous_offset == 100  # so the client sends nothing of it again


async def test_story_8_a_drained_open_conversation_stays_on_due(recorder, bus, conversation, now_ms):
    hints = Hints(bus)
    opened = await recorder.open()
    await hints.due(conversation, now_ms + 60_000)
    cut = cut_of(EntryId(opened.epoch, 0), EntryId(opened.epoch, 0))
    await bus.cut(conversation, cut, settled=None)
    await finish(bus, conversation, cut)
    assert not await hints.leave(conversation, now_ms + 60_000)  # empty, but there: an append may come
    partition = bus.keys.partition(conversation)
    assert await bus.command("ZSCORE", bus.keys.due(partition), conversation.tag) is not None
    # The process dies after this append: neither hint nor due time. It is found all the same.
    await recorder.append(100)
    await hints.make_group(partition)
    assert await hints.schedule(partition, now_ms + 60_000, now_ms + 90_000) == 1
    [hint] = await hints.take(bus.client, partition, "pusher-1", count=10, block_ms=None)
    assert hint.conversation == conversation


async def test_story_9_a_hint_for_a_busy_conversation_is_not_swallowed(recorder, bus, conversation, now_ms):
    hints = Hints(bus)
    await recorder.open()
    await hints.ready(conversation, "finalize")
    partition = bus.keys.partition(conversation)
    await hints.make_group(partition)
    assert await bus.take_lease(conversation, "pusher-1", 30_000)
    [hint] = await hints.take(bus.client, partition, "pusher-2", count=10, block_ms=None)
    assert not await bus.take_lease(conversation, "pusher-2", 30_000)
    await hints.due(conversation, now_ms + 5_000)  # first
    await hints.done(hint)  # then; a crash between the two leaves both
    assert await hints.schedule(partition, now_ms + 5_000, now_ms + 35_000) == 1


async def test_story_10_nothing_that_can_hold_audio_expires(recorder, bus, conversation, now_ms):
    opened = await recorder.open()
    cut = cut_of(EntryId(opened.epoch, 0), EntryId(opened.epoch, 0))
    await bus.cut(conversation, cut, settled=None)
    await finish(bus, conversation, cut)
    later = now_ms + QUIET_MS
    assert await bus.forget(conversation, later)
    # Recorded into again while the limit runs: no limit is left on anything.
    await recorder.open(resume=opened.epoch, now_ms=later, own=True)
    await recorder.append(100, now_ms=later)
    for key in (bus.keys.conv(conversation), bus.keys.audio(conversation)):
        assert await bus.command("PTTL", key) == -1
    assert not await bus.forget(conversation, later + 30 * QUIET_MS)  # entries: never forgotten, however long
    assert await chunks_in(bus, conversation) == [b"0..100"]


async def test_story_11_a_socket_that_was_silent_for_a_day_goes_on(recorder, bus, conversation, now_ms):
    opened = await recorder.open()
    await recorder.append(100)
    cut = cut_of(EntryId(opened.epoch, 0), EntryId(opened.epoch, 100))
    await bus.cut(conversation, cut, settled=None)
    await finish(bus, conversation, cut)
    later = now_ms + 2 * QUIET_MS
    assert await bus.forget(conversation, later)
    answer = await recorder.append(200, now_ms=later)
    assert answer == Replaced("", EntryId(opened.epoch, 100))  # nobody owns it; it is not deleted
    again = await recorder.open(resume=opened.epoch, now_ms=later, own=True)
    assert (again.resumed, again.offset) == (True, 100)
    assert isinstance(await recorder.append(200, now_ms=later), Appended)


async def test_story_18_a_pusher_dies_between_due_and_ready(recorder, bus, conversation, now_ms):
    hints = Hints(bus)
    await recorder.open()
    await hints.due(conversation, now_ms)
    partition = bus.keys.partition(conversation)
    await hints.make_group(partition)
    assert await hints.schedule(partition, now_ms, now_ms + 30_000) == 1
    [hint] = await hints.take(bus.client, partition, "dies", count=10, block_ms=None)
    assert hint.conversation == conversation
    # The hint lies with a dead consumer; the due time, set first, brings the conversation up again.
    assert await hints.schedule(partition, now_ms + 30_000, now_ms + 60_000) == 1
