"""Holds of a merge, the tombstone that names the target, and the books that move, on the real scripts."""

import pytest
import pytest_asyncio

from audiobus import Appended, Conversation, Cut, merging, operations
from audiobus.census import exact
from audiobus.cut import VERSION
from audiobus.deletions import emptied, set_tombstone, sweep
from audiobus.errors import (
    BusContractError,
    ConversationDeletedError,
    HeldError,
    LettersError,
    MergedError,
    MergingError,
    TooManyOperationsError,
)
from audiobus.tombstone import entomb

TARGET = Conversation("user-1", "all")
OTHER = Conversation("user-1", "other")
OP = "op-1"
LATER, PAST = 10**14, 1_000


@pytest_asyncio.fixture
async def stored(recorder, bus, conversation, now_ms):
    """100 ms that are in the bucket, and what stood when they were."""
    await recorder.open()
    await recorder.append(100)
    cut = Cut(VERSION, "1-0", str(recorder.newest), "a name", "standard", "age")
    await bus.cut(conversation, cut, settled=None)
    await bus.finish(
        conversation, cut.encode(), last=recorder.newest, preroll=None, samples=4800, ends={}, now_ms=now_ms
    )
    return await bus.state(conversation)


async def frozen(bus, conversation, word: str = "word-1", operation: str = OP, until_ms: int = LATER) -> str:
    return (await merging.freeze(bus, conversation, TARGET, operation, word, until_ms=until_ms)).token


GRACE = {"until_ms": LATER, "grace_ms": 60_000}


@pytest.fixture
async def redis_ms(bus, conversation) -> int:
    return await bus.clock.ms(conversation)


async def test_what_a_socket_still_has_is_taken_for_a_while(recorder, bus, conversation, redis_ms):
    """And it hears that it has to end."""
    await recorder.open()
    await recorder.append(100, now_ms=redis_ms)
    frozen = await merging.freeze(bus, conversation, TARGET, OP, "word", now_ms=redis_ms, **GRACE)
    assert frozen.till_ms == redis_ms + 60_000
    assert (await recorder.append(200, now_ms=redis_ms)).merging == TARGET.tag
    state = await bus.state(conversation)
    assert state.in_merge
    # A repeat puts nothing off, and a grace that is over is over.
    again = await merging.freeze(bus, conversation, TARGET, OP, "other", now_ms=redis_ms + 50_000, **GRACE)
    assert again == frozen
    await bus.command("HSET", bus.keys.conv(conversation), "merge_grace", redis_ms - 60_000)
    with pytest.raises(MergingError):
        await recorder.append(300)
    await merging.thaw(bus, conversation, OP)
    assert (await recorder.append(300)).merging is None
    fields = await bus.command("HKEYS", bus.keys.conv(conversation))
    assert not [field for field in fields if b"merg" in field]


async def test_nobody_is_waited_for_who_has_ended_or_is_gone(recorder, bus, conversation, redis_ms):
    await recorder.open()
    await recorder.append(100, now_ms=redis_ms)
    late = redis_ms + merging.LIVE_MS + 60_000
    assert (await merging.freeze(bus, conversation, TARGET, OP, "one", now_ms=late, **GRACE)).till_ms == 0
    await merging.thaw(bus, conversation, OP)
    await bus.ask(conversation, "end", owner=recorder.owner, ends=True, newest=recorder.newest)
    assert (await merging.freeze(bus, conversation, TARGET, OP, "two", now_ms=redis_ms, **GRACE)).till_ms == 0
    with pytest.raises(MergingError):
        await recorder.append(200)


async def test_where_a_conversation_goes(recorder, bus, conversation, redis_ms, now_ms):
    await recorder.open()
    assert await merging.goes_into(bus, conversation) is None
    await frozen(bus, conversation)
    assert await merging.goes_into(bus, conversation) == TARGET.tag
    # Nobody is left to go on with it.
    await frozen(bus, conversation, until_ms=redis_ms - 60_000)
    assert await merging.goes_into(bus, conversation) is None
    await merging.thaw(bus, conversation, OP)
    await set_tombstone(bus, conversation, now_ms, merged_into=TARGET)
    assert await merging.goes_into(bus, conversation) == TARGET.tag


async def buried(bus, conversation, token, state, now_ms):
    return await merging.bury_merged(
        bus, conversation, TARGET, token, newest=state.newest, fence=state.fence, now_ms=now_ms
    )


async def test_what_is_frozen_takes_nothing_and_goes_on_when_it_is_thawed(
    recorder, another, bus, conversation
):
    await recorder.open()
    await recorder.append(100)
    sent = recorder.request(100, before=recorder.newest.__class__(recorder.newest.epoch, 0))
    token = await frozen(bus, conversation)
    assert await frozen(bus, conversation, "word-2") == token
    with pytest.raises(MergingError) as raised:
        await recorder.append(200)
    assert raised.value.target == TARGET.tag
    with pytest.raises(MergingError):
        await another().open()
    # A retry of what went in before is told so.
    assert isinstance(await bus.append(sent), Appended)
    assert (await bus.state(conversation)).in_merge
    assert await merging.thaw(bus, conversation, OP)
    assert isinstance(await recorder.append(200), Appended)
    assert not (await bus.state(conversation)).in_merge


async def test_another_merge_neither_takes_nor_thaws_it(bus, conversation):
    await frozen(bus, conversation)
    for hold in (
        frozen(bus, conversation, operation="op-2"),
        merging.hold(bus, conversation, "op-2", until_ms=LATER),
    ):
        with pytest.raises(HeldError) as raised:
            await hold
        assert raised.value.operation_id == OP
    assert not await merging.thaw(bus, conversation, "op-2")
    assert (await bus.state(conversation)).merging == TARGET.tag


async def test_what_is_held_goes_on_but_is_not_deleted_or_frozen(recorder, bus, conversation):
    await merging.hold(bus, conversation, OP, until_ms=LATER)
    await merging.hold(bus, conversation, OP, until_ms=LATER)
    await recorder.open()
    assert isinstance(await recorder.append(100), Appended)
    with pytest.raises(MergingError):
        await entomb(bus, conversation, 1)
    with pytest.raises(HeldError):
        await frozen(bus, conversation, operation="op-2")
    assert await merging.thaw(bus, conversation, OP)
    assert (await entomb(bus, conversation, 1)).fresh


async def test_what_nobody_is_left_to_thaw_thaws_by_itself(
    recorder, another, stored, bus, conversation, now_ms
):
    token = await frozen(bus, conversation, until_ms=PAST)
    await another().open(resume=recorder.newest.epoch)
    # The merge, should it be alive, has lost it.
    assert await buried(bus, conversation, token, stored, now_ms) is None
    assert not (await bus.state(conversation)).in_merge


async def test_nor_is_a_socket_refused_that_stayed_open(recorder, stored, bus, conversation, now_ms):
    token = await frozen(bus, conversation, until_ms=LATER)
    with pytest.raises(MergingError):
        await recorder.append(200)
    await frozen(bus, conversation, until_ms=PAST)
    assert isinstance(await recorder.append(200), Appended)
    assert await buried(bus, conversation, token, stored, now_ms) is None
    assert not (await bus.state(conversation)).in_merge


async def test_what_is_held_for_too_long_can_be_deleted(bus, conversation):
    await merging.hold(bus, conversation, OP, until_ms=LATER)
    assert not await merging.is_free(bus, conversation)
    await merging.thaw(bus, conversation, OP)
    await merging.hold(bus, conversation, OP, until_ms=PAST)
    assert (await entomb(bus, conversation, 1)).fresh
    await frozen(bus, OTHER, until_ms=LATER)
    await frozen(bus, OTHER, until_ms=PAST)
    assert await merging.is_free(bus, OTHER)
    assert await merging.is_free(bus, OTHER)
    assert (await entomb(bus, OTHER, 1)).fresh


async def test_a_repeat_holds_no_shorter(bus, conversation):
    """Whoever asks for a merge holds for a minute; who carries it out, and may be faster, for longer."""
    for until_ms in (5_000, 1_000, 9_000, 2_000):
        await merging.hold(bus, conversation, OP, until_ms=until_ms)
    assert await bus.command("HGET", bus.keys.conv(conversation), "merge_until") == b"9000"


async def test_what_redis_knew_nothing_of_leaves_nothing_when_it_is_thawed(bus, conversation):
    await frozen(bus, conversation)
    assert await merging.thaw(bus, conversation, OP)
    assert not await bus.command("EXISTS", bus.keys.conv(conversation))


async def test_what_is_deleted_is_not_held(bus, conversation):
    await set_tombstone(bus, conversation, 1)
    await set_tombstone(bus, OTHER, 1, merged_into=TARGET)
    with pytest.raises(ConversationDeletedError):
        await frozen(bus, conversation)
    with pytest.raises(ConversationDeletedError):
        await merging.hold(bus, conversation, OP, until_ms=LATER)
    with pytest.raises(MergedError) as raised:
        await frozen(bus, OTHER)
    assert raised.value.target == TARGET.tag


async def test_the_books_go_with_the_audio_once(stored, bus, conversation, now_ms):
    token = await frozen(bus, conversation)
    what = await buried(bus, conversation, token, stored, now_ms)
    assert what == merging.Taken(f"{now_ms} {TARGET.tag}".encode(), 4800)
    assert await buried(bus, conversation, "another", stored, now_ms + 1) == what
    # A pusher sweeps before they are counted where they went.
    await sweep(bus, conversation, now_ms)
    assert await emptied(bus, conversation) == 0
    assert await buried(bus, conversation, "", stored, now_ms) == what
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.received, balance.deleted) == (0, 0, 0)
    assert await merging.take_in(bus, TARGET, conversation, what)
    assert not await merging.take_in(bus, TARGET, conversation, what)
    balance = await exact(bus, TARGET)
    assert (balance.difference, balance.received, balance.stored) == (0, 4800, 4800)
    assert await merging.booked(bus, TARGET) == {conversation.cid, TARGET.cid}
    assert await bus.command("PTTL", bus.keys.conv(TARGET)) > 0


async def test_what_is_held_and_never_recorded_into_is_known_for_a_while(recorder, bus, conversation):
    await merging.hold(bus, TARGET, OP, until_ms=LATER)
    what = merging.Taken(b"1 user-1/all", 4800)
    await merging.take_in(bus, TARGET, OTHER, what)
    assert await bus.command("PTTL", bus.keys.conv(TARGET)) > 0
    await recorder.open()
    await merging.hold(bus, conversation, OP, until_ms=LATER)
    await merging.take_in(bus, conversation, OTHER, what)
    assert await bus.command("PTTL", bus.keys.conv(conversation)) == -1


async def test_of_what_is_only_held_nothing_stays_for_ever(recorder, bus, conversation):
    """Its holder may die before anybody knows of the merge, and the target never come to be."""
    key = bus.keys.conv(conversation)
    for _ in range(2):
        await merging.hold(bus, conversation, OP, until_ms=LATER)
        assert await bus.command("PTTL", key) > 0
    await recorder.open()
    await merging.hold(bus, conversation, OP, until_ms=LATER)
    assert await bus.command("PTTL", key) == -1


@pytest.mark.parametrize("kind", ["audio", "dead"])
async def test_the_books_of_what_waits_are_held_without_a_limit(bus, conversation, kind):
    """Nothing but the audio is known of it: pushers write its books beside the hold, and nothing lifts a limit from them."""
    if kind == "audio":
        await bus.command("XADD", bus.keys.audio(conversation), "5-9", "c", "x")
    else:
        await bus.command("HSET", bus.keys.dead(conversation), "5-9", "x")
    for _ in range(2):
        await merging.hold(bus, conversation, OP, until_ms=LATER)
        assert await bus.command("PTTL", bus.keys.conv(conversation)) == -1
    await merging.thaw(bus, conversation, OP)
    assert await bus.command("EXISTS", bus.keys.conv(conversation)) == 0


async def test_books_that_went_there_before_go_on_with_them(bus):
    """From one into the next: what was recorded into the first counts in the last."""
    first, last = Conversation("user-1", "first"), Conversation("user-1", "last")
    await merging.take_in(bus, OTHER, first, merging.Taken(b"1 user-1/other", 4800))
    await merging.take_in(bus, last, OTHER, merging.Taken(b"2 user-1/last", 9600))
    assert await merging.booked(bus, last) == {"first", "other", "last"}
    assert (await exact(bus, last)).stored == 9600
    # One of them may come again: what was recorded into it since.
    await merging.take_in(bus, last, first, merging.Taken(b"3 user-1/last", 4800))
    assert (await exact(bus, last)).stored == 14_400


async def test_what_changed_since_it_was_read_is_not_buried(recorder, stored, bus, conversation, now_ms):
    token = await frozen(bus, conversation)
    await merging.thaw(bus, conversation, OP)
    await recorder.append(200)
    again = await frozen(bus, conversation, "word-2")
    assert again != token
    assert await buried(bus, conversation, token, stored, now_ms) is None
    # By its token it is as it was, but a process of another build let something in.
    assert await buried(bus, conversation, again, stored, now_ms) is None
    # It waits in the buffer.
    assert await buried(bus, conversation, again, await bus.state(conversation), now_ms) is None
    assert not await bus.tombstone(conversation)


@pytest.mark.parametrize(
    ("field", "value"), [("cut", "c"), ("again_cut", "c"), ("fence", "7"), ("newest", "9-9")]
)
async def test_what_is_on_its_way_or_given_up_is_waited_for(stored, bus, conversation, now_ms, field, value):
    token = await frozen(bus, conversation)
    await bus.command("HSET", bus.keys.conv(conversation), field, value)
    assert await buried(bus, conversation, token, stored, now_ms) is None


async def test_dead_letters_are_in_the_way(stored, bus, conversation, now_ms):
    token = await frozen(bus, conversation)
    await bus.command("HSET", bus.keys.dead(conversation), "1-1", "letter")
    with pytest.raises(LettersError):
        await buried(bus, conversation, token, stored, now_ms)
    assert not await bus.tombstone(conversation)


async def test_another_tombstone_is_told(stored, bus, conversation, now_ms):
    await set_tombstone(bus, conversation, 1)
    with pytest.raises(ConversationDeletedError):
        await buried(bus, conversation, "any", stored, now_ms)
    await bus.command("DEL", bus.keys.tomb(conversation))
    await set_tombstone(bus, conversation, 1, merged_into=OTHER)
    with pytest.raises(MergedError):
        await buried(bus, conversation, "any", stored, now_ms)


async def test_a_device_that_comes_back_is_told_where_its_conversation_went(
    recorder, another, stored, bus, conversation, now_ms
):
    token = await frozen(bus, conversation)
    await buried(bus, conversation, token, stored, now_ms)
    with pytest.raises(MergingError):
        await recorder.append(200)
    with pytest.raises(MergingError):
        await recorder.open(resume=recorder.newest.epoch, own=True)
    with pytest.raises(MergedError) as raised:
        await another().open(resume=recorder.newest.epoch)
    assert (raised.value.target, raised.value.previous_offset) == (TARGET.tag, 100)
    with pytest.raises(MergedError) as raised:
        await another().open(resume=1)
    assert raised.value.previous_offset is None
    with pytest.raises(ConversationDeletedError):
        await another().open()


async def test_an_earlier_session_of_it_is_known_too(recorder, another, bus, conversation, now_ms):
    first = (await recorder.open()).epoch
    await recorder.append(100)
    await another().open(now_ms=now_ms + 1000)
    await set_tombstone(bus, conversation, now_ms, merged_into=TARGET)
    with pytest.raises(MergedError) as raised:
        await another().open(resume=first)
    assert raised.value.previous_offset == 100


async def test_only_an_operation_that_is_done_begins_again(bus):
    await operations.begin(bus, OP, "merge", "user-1", b"{}")
    before = await operations.find(bus, OP)
    assert not await merging.begin_again(bus, before, most=2)
    assert await operations.take(bus, OP, "me", 1000)
    assert await operations.write(bus, OP, "me", "done", 60_000, {"result": b"{}", "step": b"{}"})
    # Another was begun since, by a clock that is ahead.
    newest = bus.keys.operations_of("merge", "user-1")
    await bus.command("ZADD", newest, 9_000_000_000_000, "another")
    assert await merging.begin_again(bus, before, most=2)
    assert (await operations.begun(bus, "merge", "user-1"))[OP] == 9_000_000_000_001
    found = await operations.find(bus, OP)
    assert (found.kind, found.uid, found.request, found.step, found.result, found.done) == (
        "merge", "user-1", b"{}", b"", b"", False,
    )  # fmt: skip
    assert await bus.command("PTTL", bus.keys.operation(OP)) == -1
    assert await operations.due(bus) == [OP]


async def test_no_more_begin_again_than_may_be_undone(bus):
    await operations.begin(bus, OP, "merge", "user-1", b"{}")
    assert await operations.take(bus, OP, "me", 1000)
    await operations.write(bus, OP, "me", "done", 60_000, {})
    before = await operations.find(bus, OP)
    await operations.begin(bus, "op-2", "merge", "user-1", b"{}")
    with pytest.raises(TooManyOperationsError):
        await merging.begin_again(bus, before, most=1)
    assert (await operations.find(bus, OP)).done


async def test_an_answer_that_is_none_is_an_error(bus, monkeypatch):
    with pytest.raises(BusContractError):
        raise merging._refusal([b"what"])
