"""Objects that take the place of others: in one step, by one at a time, and what never came to that is known."""

import pytest

from audiobus import Conversation, Cut, CutStands, dead_letters
from audiobus.answers import NameGone
from audiobus.census import exact
from audiobus.cut import VERSION
from audiobus.deletions import drop_cut, gone, set_tombstone
from audiobus.errors import ConversationDeletedError, MergingError, NamedByCutError
from audiobus.letters_cut import LettersCut
from audiobus.replacing import Replacing, not_counting

OLD, NEW = (f"chunks/user-1/conv-1/1.000-2.00{number}.batch.bin" for number in (0, 1))


@pytest.fixture
async def stored(bus, recorder, conversation) -> Replacing:
    """Three hundred ms that are in the bucket, and somebody who may replace what holds them."""
    await recorder.open()
    await recorder.append(300)
    received = (await exact(bus, conversation)).received
    await bus.command("HSET", bus.keys.conv(conversation), "out", received)
    await bus.command("DEL", bus.keys.audio(conversation))
    replacing = Replacing(bus, conversation)
    assert await replacing.hold()
    return replacing


async def test_the_new_counts_from_when_the_old_does_not(bus, stored, conversation, now_ms):
    before = await exact(bus, conversation)
    fence = (await bus.state(conversation)).fence
    assert await stored.announce(NEW, "7:9")
    assert await stored.unfinished() == {NEW: "7:9"}
    assert await gone(bus, conversation) == {}
    assert await stored.replace([NEW], {OLD: 480}, now_ms) == 480
    assert await stored.unfinished() == {}
    assert await gone(bus, conversation) == {OLD: now_ms}
    after = await exact(bus, conversation)
    assert (after.difference, after.deleted, after.stored) == (0, 480, before.stored - 480)
    state = await bus.state(conversation)
    assert (state.fence, state.gone) == (fence + 1, True)
    assert await bus.command("ZSCORE", bus.keys.due(bus.keys.partition(conversation)), conversation.tag)


async def test_what_was_noted_before_counts_no_second_time(bus, stored, conversation, now_ms):
    assert await stored.replace([], {OLD: 480}, now_ms) == 480
    assert await stored.replace([], {OLD: 480, NEW: 48}, now_ms + 1) == 48
    assert await gone(bus, conversation) == {OLD: now_ms, NEW: now_ms + 1}
    assert (await exact(bus, conversation)).difference == 0


async def test_who_lost_the_right_does_not_go_on_when_nobody_has_it(bus, stored, conversation, now_ms):
    assert await stored.keep()
    await bus.command("DEL", bus.keys.replacing_lease(conversation))
    other = Replacing(bus, conversation)
    assert await other.hold()
    assert not await stored.keep()
    await other.release()
    assert not await stored.keep()
    assert await stored.replace([], {OLD: 480}, now_ms) is None
    assert not await stored.announce(NEW, "")


async def test_one_at_a_time(bus, stored, conversation, now_ms):
    other = Replacing(bus, conversation)
    assert not await other.hold()
    assert not await other.announce(OLD, "")
    assert await other.replace([], {OLD: 1}, now_ms) is None
    await other.release()  # not its own to give
    assert await stored.announce(NEW, "")
    await stored.release()
    assert await other.hold()
    assert not await stored.hold()
    assert await stored.replace([NEW], {OLD: 1}, now_ms) is None
    assert await gone(bus, conversation) == {}


async def test_what_was_withdrawn_takes_no_place_any_more(bus, stored, conversation, now_ms):
    await stored.announce(NEW, "")
    await stored.withdraw([NEW], now_ms)
    assert await stored.replace([NEW], {OLD: 1}, now_ms) is None
    await stored.forget([NEW])
    assert await stored.replace([NEW], {OLD: 1}, now_ms) is None
    assert await gone(bus, conversation) == {NEW: now_ms}
    assert await stored.unfinished() == {}


async def test_nor_does_what_a_pusher_gave_up_meanwhile(bus, stored, conversation, now_ms):
    await stored.announce(NEW, "")
    await bus.command("HSET", bus.keys.conv(conversation), "cut", b"the cut")
    assert await drop_cut(bus, conversation, b"the cut", NEW, now_ms)
    assert await stored.replace([NEW], {OLD: 1}, now_ms) is None
    assert await gone(bus, conversation) == {NEW: now_ms}


@pytest.mark.parametrize("field", ["merging", "held"])
async def test_nothing_is_replaced_in_what_a_merge_holds(bus, stored, conversation, now_ms, field):
    await stored.refuse_merge()
    await stored.announce(NEW, "")
    await bus.command("HSET", bus.keys.conv(conversation), field, "user-1/other")
    for refused in (
        stored.refuse_merge(),
        stored.announce(NEW, ""),
        stored.replace([NEW], {OLD: 1}, now_ms),
    ):
        with pytest.raises(MergingError):
            await refused
    assert await gone(bus, conversation) == {}


async def test_a_merge_that_is_overdue_is_in_nobody_s_way(bus, stored, conversation):
    key = bus.keys.conv(conversation)
    await bus.command("HSET", key, "held", "an operation", "merge_until", 32_503_680_000_000)
    with pytest.raises(MergingError):
        await stored.refuse_merge()
    await bus.command("HSET", key, "merge_until", 1)
    await stored.refuse_merge()
    assert await stored.announce(NEW, "")


async def test_nor_in_what_is_deleted(bus, stored, conversation, now_ms):
    await stored.announce(NEW, "")
    await set_tombstone(bus, conversation, now_ms)
    for refused in (stored.announce(NEW, ""), stored.replace([NEW], {OLD: 1}, now_ms)):
        with pytest.raises(ConversationDeletedError):
            await refused
    assert await gone(bus, conversation) == {}


async def test_what_redis_knows_nothing_of_gets_a_note_that_ends(bus, now_ms):
    """Objects that were there before Redis knew the conversation: they were never counted, and nothing of them waits."""
    conversation = Conversation("user-1", "older")
    replacing = Replacing(bus, conversation)
    assert await replacing.hold()
    assert await replacing.replace([], {OLD: 480}, now_ms) == 0
    assert await bus.command("PTTL", bus.keys.conv(conversation)) > 0
    assert await bus.command("PTTL", bus.keys.gone(conversation)) > 0
    assert (await exact(bus, conversation)).difference == 0


@pytest.mark.parametrize("letters", [False, True])
async def test_no_cut_and_no_announcement_share_a_name(bus, stored, recorder, conversation, now_ms, letters):
    """A pusher takes what lies under its cut's name for its own; what is announced may be taken away again."""
    await recorder.append(100)
    before = await bus.state(conversation)
    [entry] = await bus.read(conversation, count=9)
    first = str(entry.id)
    if letters:
        await bus.command("HSET", bus.keys.dead(conversation), first, b"a letter")

    async def cut(name: str) -> object:
        if letters:
            one = LettersCut(1, (first,), name, "standard")
            return await dead_letters.cut(bus, conversation, one, now_ms=now_ms)
        one = Cut(VERSION, first, first, name, "standard", "size")
        return await bus.cut(conversation, one, settled=before.settled)

    assert await stored.announce(OLD, "7:9")
    assert await cut(OLD) == NameGone()
    assert await cut(NEW) == CutStands()
    with pytest.raises(NamedByCutError):
        await stored.announce(NEW, "7:9")
    assert await stored.unfinished() == {OLD: "7:9"}


async def test_what_was_announced_counts_once_it_took_its_place(bus, stored, conversation, now_ms):
    await stored.announce(NEW, "")
    assert await not_counting(bus, conversation) == {NEW}
    await stored.replace([NEW], {OLD: 1}, now_ms)
    assert await not_counting(bus, conversation) == {OLD}
    await stored.announce(NEW, "")
    await stored.withdraw([NEW], now_ms)
    await stored.forget([NEW])
    assert await not_counting(bus, conversation) == {OLD, NEW}
