"""The scripts ask, cut, finish, bury and forget."""

import msgspec
import pytest

from audiobus import (
    Appended,
    Asked,
    Bus,
    ConversationGone,
    Cut,
    CutStands,
    EntryId,
    Hints,
    Misplaced,
    OtherCutStands,
    PreRoll,
    Replaced,
    SettledMoved,
    decode_cut,
)
from audiobus.bus import ENDS_KEPT_MS, QUIET_MS
from audiobus.deletions import drop_cut
from audiobus.errors import BusUnavailableError


def cut_of(first: EntryId, last: EntryId, name: str = "chunks/user-1/conv-1/1.000-2.000.batch.bin") -> Cut:
    return Cut(version=1, first=str(first), last=str(last), name=name, protection="standard", reason="size")


async def finish(bus, conversation, cut, *, samples=0, ends=None, preroll=None, now_ms=0):
    return await bus.finish(
        conversation,
        cut.encode(),
        last=cut.last_id,
        preroll=preroll,
        samples=samples,
        ends=ends or {},
        now_ms=now_ms,
    )


@pytest.fixture
async def recorded(recorder):
    """A session with chunks that end at 100, 200 and 300."""
    opened = await recorder.open()
    for end in (100, 200, 300):
        await recorder.append(end)
    return opened


async def test_a_cut_is_written_down_once(recorded, bus, conversation):
    cut = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 200))
    assert await bus.cut(conversation, cut, settled=None) == CutStands()
    assert await bus.cut(conversation, cut, settled=None) == CutStands()  # a lost reply
    other = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 300))
    assert await bus.cut(conversation, other, settled=None) == OtherCutStands(cut.encode())
    assert decode_cut((await bus.state(conversation)).cut) == cut


async def test_a_standing_cut_can_be_given_another_name(recorded, bus, conversation):
    cut = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 200))
    await bus.cut(conversation, cut, settled=None)
    renamed = msgspec.structs.replace(cut, name="chunks/user-1/conv-1/1.000-2.001.batch.bin")
    assert await bus.cut(conversation, renamed, settled=None, replaces=cut.encode()) == CutStands()
    assert (await bus.state(conversation)).cut == renamed.encode()
    # Whoever still holds the first name neither replaces nor finishes.
    again = msgspec.structs.replace(cut, name="chunks/user-1/conv-1/1.000-2.002.batch.bin")
    assert await bus.cut(conversation, again, settled=None, replaces=cut.encode()) == OtherCutStands(
        renamed.encode()
    )
    assert not await finish(bus, conversation, cut)


async def test_a_cut_that_stands_no_more_is_not_given_another_name(recorded, bus, conversation):
    """What it was about is looked at anew."""
    cut = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 200))
    await bus.cut(conversation, cut, settled=None)
    assert await drop_cut(bus, conversation, cut.encode(), cut.name, 1)
    renamed = msgspec.structs.replace(cut, name="chunks/user-1/conv-1/1.000-2.001.batch.bin")
    answer = await bus.cut(conversation, renamed, settled=None, replaces=cut.encode())
    assert answer == SettledMoved(None)
    assert (await bus.state(conversation)).cut is None


async def test_a_cut_under_a_tombstone_is_refused(recorded, bus, conversation):
    await bus.command("SET", bus.keys.tomb(conversation), "1")
    cut = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 200))
    assert await bus.cut(conversation, cut, settled=None) == ConversationGone()


async def test_finish_settles_exactly_the_cut(recorded, bus, conversation):
    cut = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 200))
    await bus.cut(conversation, cut, settled=None)
    preroll = PreRoll(recorded.epoch, 5, 9600, 200, (b"abc",))
    assert await finish(bus, conversation, cut, samples=9600, preroll=preroll, ends={recorded.epoch: 200})
    state = await bus.state(conversation)
    assert (state.settled, state.cut, state.preroll) == (EntryId(recorded.epoch, 200), None, preroll)
    assert (state.stored_samples, state.waiting_samples) == (9600, 4800)
    assert [entry.id.offset for entry in await bus.read(conversation, count=10)] == [300]
    # Again: that cut no longer stands, and nothing changes.
    assert not await finish(bus, conversation, cut, samples=9600)
    assert (await bus.state(conversation)).stored_samples == 9600


async def test_finish_counts_what_it_removes_whatever_was_read_before_redis_lost_it(
    recorded, bus, conversation
):
    state = await bus.state(conversation)
    cut = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 200))
    # A failover: of the two chunks that were read the second is gone, and with it what was counted.
    await bus.command("XDEL", bus.keys.audio(conversation), f"{recorded.epoch}-200")
    await bus.command("HINCRBY", bus.keys.conv(conversation), "in", -(state.received_samples // 3))
    await bus.cut(conversation, cut, settled=None)
    assert await finish(bus, conversation, cut, samples=2 * state.received_samples // 3)
    after = await bus.state(conversation)
    assert after.stored_samples == state.received_samples // 3
    assert after.waiting_samples == state.received_samples // 3


async def test_what_an_older_listen_appended_is_counted_as_the_pusher_says(recorded, bus, conversation):
    await bus.command("XADD", bus.keys.audio(conversation), f"{recorded.epoch}-400", "c", b"older")
    cut = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 400))
    await bus.cut(conversation, cut, settled=None)
    assert await finish(bus, conversation, cut, samples=12_345)
    assert (await bus.state(conversation)).stored_samples == 12_345


async def test_finish_notes_where_sessions_ended(recorder, another, bus, conversation, now_ms):
    first = await recorder.open()
    await recorder.append(100)
    await bus.command("HDEL", bus.keys.conv(conversation), "newest")  # as if Redis had lost what open noted
    second = await another().open(now_ms=now_ms + 9)
    cut = cut_of(EntryId(first.epoch, 0), EntryId(second.epoch, 0))
    await bus.cut(conversation, cut, settled=None)
    assert await finish(bus, conversation, cut, ends={first.epoch: 100, second.epoch: 0}, now_ms=now_ms)
    assert (await another().open(resume=first.epoch, now_ms=now_ms + 20)).previous_offset == 100


async def test_asking_is_remembered_until_it_is_done(recorded, bus, conversation):
    asked = await bus.ask(conversation, "finalize")
    assert (asked.newest, asked.settled, asked.entries) == (EntryId(recorded.epoch, 300), None, 4)
    state = await bus.state(conversation)
    assert (state.flush, state.flush_reason) == (EntryId(recorded.epoch, 300), "finalize")
    part = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 200))
    await bus.cut(conversation, part, settled=None)
    await finish(bus, conversation, part)
    assert (await bus.state(conversation)).flush == EntryId(recorded.epoch, 300)
    rest = cut_of(EntryId(recorded.epoch, 300), EntryId(recorded.epoch, 300))
    await bus.cut(conversation, rest, settled=EntryId(recorded.epoch, 200))
    await finish(bus, conversation, rest)
    state = await bus.state(conversation)
    assert (state.flush, state.flush_reason) == (None, None)
    nothing_waits = await bus.ask(conversation, "finalize")
    assert (nothing_waits.entries, nothing_waits.settled) == (0, EntryId(recorded.epoch, 300))
    assert (await bus.state(conversation)).flush is None


async def test_asking_for_what_nobody_recorded(bus, conversation):
    assert await bus.ask(conversation, "flush") is None


@pytest.mark.parametrize(
    ("epochs", "offset", "below"), [(0, 0, False), (0, -100, False), (0, 1, True), (1, -300, True)]
)
async def test_asking_where_redis_has_less_than_it_confirmed_notes_nothing(
    recorded, recorder, bus, conversation, epochs, offset, below
):
    stands = EntryId(recorded.epoch, 300)
    known = EntryId(recorded.epoch + epochs, 300 + offset)
    answer = await bus.ask(conversation, "end", owner=recorder.owner, ends=True, newest=known)
    state = await bus.state(conversation)
    if below:
        assert answer == Misplaced(stands)
        assert (state.flush, (await recorder.open(resume=recorded.epoch)).resumed) == (None, True)
    else:
        assert answer == Asked(stands, None, 4)
        assert state.flush == stands


async def test_a_replaced_socket_cannot_end_the_newer_session(recorder, another, bus, conversation):
    await recorder.open()
    newer = another()
    opened = await newer.open()
    assert await bus.ask(conversation, "end", owner=recorder.owner, ends=True) == Replaced(newer.owner, None)
    assert (await another().open(resume=opened.epoch)).resumed


async def test_bury_moves_an_entry_in_one_step(recorded, recorder, bus, conversation, now_ms):
    entries = await bus.read(conversation, count=10)
    poison = entries[2]
    bury = {"reason": "does not parse", "first_offset": 100, "samples": 4800, "now_ms": now_ms}
    assert await bus.bury(conversation, poison, **bury)
    assert not await bus.bury(conversation, poison, **bury)  # a lost reply: dead once
    state = await bus.state(conversation)
    assert (state.dead_samples, state.waiting_samples) == (4800, 9600)
    assert [entry.id.offset for entry in await bus.read(conversation, count=10)] == [0, 100, 300]
    letter = msgspec.msgpack.decode(await bus.command("HGET", bus.keys.dead(conversation), str(poison.id)))
    assert letter["reason"] == "does not parse"
    assert letter["fields"] == {b"c": b"100..200", b"s": b"4800"}
    assert (letter["first_offset"], letter["samples"]) == (100, 4800)
    answer = await recorder.append(400)
    assert isinstance(answer, Appended)
    assert answer.dead_offset == 100


async def test_nothing_is_buried_under_a_standing_cut(recorded, bus, conversation, now_ms):
    [_, entry, *_] = await bus.read(conversation, count=10)
    await bus.cut(
        conversation, cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 200)), settled=None
    )
    assert not await bus.bury(conversation, entry, reason="x", first_offset=0, samples=0, now_ms=now_ms)
    assert len(await bus.read(conversation, count=10)) == 4


async def test_forget_waits_for_a_quiet_day_and_an_empty_buffer(recorded, another, bus, conversation, now_ms):
    a_day_later = now_ms + QUIET_MS
    assert not await bus.forget(conversation, a_day_later)  # entries
    cut = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 300))
    await bus.cut(conversation, cut, settled=None)
    await finish(bus, conversation, cut, preroll=PreRoll(recorded.epoch, 5, 1, 300, (b"abc",)))
    assert not await bus.forget(conversation, a_day_later - 1)  # not a day yet
    assert await bus.buffered(conversation)
    assert await bus.forget(conversation, a_day_later)
    assert not await bus.buffered(conversation)
    state = await bus.state(conversation)
    assert (state.owner, state.preroll) == (None, None)
    ttl = await bus.command("PTTL", bus.keys.conv(conversation))
    assert 0 < ttl <= ENDS_KEPT_MS
    # The end is known still, and opening lifts the time limit.
    after = await another().open(resume=recorded.epoch, now_ms=a_day_later + 1)
    assert (after.resumed, after.previous_offset) == (False, 300)
    assert after.epoch > recorded.epoch
    assert await bus.command("PTTL", bus.keys.conv(conversation)) == -1


@pytest.mark.parametrize("server", ["redis_7_url", "redis_62_url"])
async def test_draining_goes_on_when_memory_is_full(server, request, recorder_on, conversation, now_ms):
    """Else it would never be freed: nothing but a drain frees it."""
    async with Bus(request.getfixturevalue(server), prefix="t-full:") as bus:
        await bus.command("DEL", bus.keys.conv(conversation), bus.keys.audio(conversation), bus.keys.due(0))
        hints = Hints(bus)
        await hints.make_group(0)
        recorder = recorder_on(bus)
        opened = await recorder.open()
        for end in (100, 200):
            await recorder.append(end)
        await bus.command("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(BusUnavailableError, match="not allowed when used memory"):
                await recorder.append(300)
            assert await bus.ask(conversation, "flush") is not None
            await hints.ready(conversation, "flush")
            await hints.due(conversation, now_ms)
            assert await hints.schedule(0, now_ms, now_ms + 30_000) == 1
            taken = await hints.take(bus.client, 0, "pusher", count=10, block_ms=None)
            assert conversation in [hint.conversation for hint in taken]
            assert await bus.take_lease(conversation, "pusher", 30_000)
            [_, poison, *_] = await bus.read(conversation, count=10)
            assert await bus.bury(
                conversation, poison, reason="x", first_offset=0, samples=4800, now_ms=now_ms
            )
            cut = cut_of(EntryId(opened.epoch, 0), EntryId(opened.epoch, 200))
            assert await bus.cut(conversation, cut, settled=None) == CutStands()
            preroll = PreRoll(opened.epoch, 5, 9600, 200, (b"abc",))
            assert await finish(bus, conversation, cut, samples=4800, preroll=preroll)
            assert await bus.read(conversation, count=10) == []
            for hint in taken:
                await hints.done(hint)
            await hints.push_due(conversation, now_ms + 60_000)
        finally:
            await bus.command("CONFIG", "SET", "maxmemory", "0")


async def test_the_settled_id_that_was_read_must_still_be_it(recorded, bus, conversation):
    cut = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 200))
    await bus.cut(conversation, cut, settled=None)
    await finish(bus, conversation, cut)
    stale = cut_of(EntryId(recorded.epoch, 0), EntryId(recorded.epoch, 300))
    assert await bus.cut(conversation, stale, settled=None) == SettledMoved(EntryId(recorded.epoch, 200))
