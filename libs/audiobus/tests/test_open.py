"""The script open: epochs, owners, resuming, refusals."""

from dataclasses import replace

import pytest

from audiobus import Appended, Lag, Position, Replaced
from audiobus.bus import ENDS_KEPT, ENDS_KEPT_MS, RESUMABLE_MS
from audiobus.errors import (
    BusContractError,
    ConversationDeletedError,
    FormatMismatchError,
    MergingError,
    StaleSocketError,
)


async def test_a_fresh_session_takes_the_clock_as_its_epoch(recorder, bus, conversation, now_ms):
    opened = await recorder.open()
    assert (opened.epoch, opened.resumed, opened.offset, opened.previous_offset) == (now_ms, False, 0, None)
    [entry] = await bus.read(conversation, count=10)
    assert entry.id == (now_ms, 0)
    assert entry.chunk is None


async def test_epochs_rise_whatever_the_clocks_say(recorder, another, now_ms):
    first = await recorder.open()
    behind = await another().open(now_ms=now_ms - 5_000, arrived_ms=now_ms)
    same = await another().open(now_ms=behind.epoch)
    assert first.epoch < behind.epoch < same.epoch


async def test_the_newest_socket_owns_the_conversation(recorder, another):
    await recorder.open()
    newer = another()
    await newer.open()
    answer = await recorder.append(100)
    assert isinstance(answer, Replaced)
    assert answer.owner == newer.owner
    assert isinstance(await newer.append(100), Appended)


async def test_an_abandoned_handshake_displaces_nobody_who_came_later(recorder, another, now_ms):
    abandoned = another()
    opened = await recorder.open(arrived_ms=now_ms + 500)
    with pytest.raises(StaleSocketError):
        await abandoned.open(now_ms=now_ms + 900, arrived_ms=now_ms + 100)  # executed late
    assert isinstance(await recorder.append(100), Appended)
    # The owner itself may open again, and whoever really comes later takes over.
    assert (await recorder.open(resume=opened.epoch, own=True, arrived_ms=now_ms + 500)).resumed
    assert (await another().open(resume=opened.epoch, arrived_ms=now_ms + 501)).resumed


async def test_who_has_ended_the_session_keeps_nobody_away(recorder, another, bus, conversation, now_ms):
    opened = await recorder.open(arrived_ms=now_ms + 500)
    await recorder.append(100)
    await bus.ask(conversation, "end", owner=recorder.owner, ends=True)
    assert (await another().open(now_ms=now_ms + 900, arrived_ms=now_ms + 100)).epoch > opened.epoch


async def test_nobody_came_after_now(recorder, another, bus, conversation):
    """The clock of Redis was set back, or it is another server's now."""
    ahead_ms = await bus.clock.ms(conversation) + 300_000
    await recorder.open(now_ms=ahead_ms, arrived_ms=ahead_ms)
    now_ms = await bus.clock.ms(conversation)
    assert (await another().open(now_ms=now_ms, arrived_ms=now_ms)).epoch > ahead_ms


async def test_a_socket_opens_its_own_session_again_before_who_came_earlier_and_no_one_else(
    recorder, another, now_ms
):
    """Redis lost that it came: the owner is who was there before."""
    earlier = recorder
    opened = await earlier.open(arrived_ms=now_ms)
    later = another()
    assert (await later.open(resume=opened.epoch, own=True, arrived_ms=now_ms + 1)).resumed
    for arrived_ms in (now_ms, now_ms + 1):  # two of one instant must not take it from each other for ever
        with pytest.raises(StaleSocketError):
            await another().open(resume=opened.epoch, own=True, arrived_ms=arrived_ms)


@pytest.mark.parametrize("before", [0, 1], ids=["first session", "later session"])
async def test_a_session_whose_beginning_redis_lost_begins_again_under_its_epoch(
    recorder, another, bus, conversation, now_ms, before
):
    keys = (bus.keys.conv(conversation), bus.keys.audio(conversation))
    if before:
        earlier = another()
        opened = await earlier.open(arrived_ms=now_ms - 1_000)
        await earlier.append(70)
    kept = [await bus.command("DUMP", key) for key in keys]
    session = await recorder.open(now_ms=now_ms + 60_000)
    await recorder.append(100)
    for key, dump in zip(keys, kept, strict=True):  # a failover: what was written since is gone
        await bus.command("DEL", key)
        if dump is not None:
            await bus.command("RESTORE", key, 0, dump)
    again = await recorder.open(resume=session.epoch, own=True, now_ms=now_ms + 61_000)
    assert (again.epoch, again.resumed, again.offset, again.position) == (session.epoch, True, 0, None)
    assert isinstance(await recorder.append(100), Appended)
    if before:
        late = await another().open(resume=opened.epoch, arrived_ms=now_ms + 70_000)
        assert (late.resumed, late.previous_offset) == (False, 70)


async def test_a_foreign_entry_above_the_newest_ends_the_session_but_not_the_conversation(
    recorder, another, bus, conversation, now_ms
):
    opened = await recorder.open()
    await recorder.append(100)
    await bus.command("XADD", bus.keys.audio(conversation), f"{now_ms + 60_000}-7", "x", "y")
    with pytest.raises(BusContractError):
        await recorder.append(200)
    later = another()
    after = await later.open(resume=opened.epoch)
    assert (after.resumed, after.previous_offset) == (False, 100)
    assert after.epoch > now_ms + 60_000
    assert isinstance(await later.append(50), Appended)


async def test_resuming_answers_offset_and_position(recorder, another, now_ms):
    opened = await recorder.open()
    await recorder.append(100)
    resumed = await another().open(resume=opened.epoch)
    assert (resumed.epoch, resumed.resumed, resumed.offset) == (opened.epoch, True, 100)
    assert resumed.position == Position(now_ms, 4800)


@pytest.mark.parametrize(
    "position", [Position(5, 4_800, (Lag(17), Lag(None))), Position(5, 0, (Lag(-7, b"x"),)), Position(5, 1)]
)
async def test_a_position_comes_back_as_it_was_kept(recorder, another, position):
    opened = await recorder.open()
    await recorder.bus.append(replace(recorder.request(100), position=position))
    assert (await another().open(resume=opened.epoch)).position == position


async def test_a_session_with_no_audio_yet_can_be_resumed(recorder, another):
    opened = await recorder.open()
    resumed = await another().open(resume=opened.epoch)
    assert (resumed.resumed, resumed.offset, resumed.position) == (True, 0, None)


async def test_a_session_is_resumable_for_a_day_after_its_last_byte(recorder, another, now_ms):
    opened = await recorder.open()
    await recorder.append(100)
    late = await another().open(resume=opened.epoch, now_ms=now_ms + RESUMABLE_MS + 1)
    assert not late.resumed
    assert late.previous_offset == 100


async def test_a_socket_opens_its_own_session_again_however_long_it_was_silent(recorder, now_ms):
    opened = await recorder.open()
    again = await recorder.open(resume=opened.epoch, now_ms=now_ms + 3 * RESUMABLE_MS, own=True)
    assert again.resumed


async def test_a_closed_session_is_over_and_its_end_is_known(recorder, another, bus, conversation):
    opened = await recorder.open()
    await recorder.append(100)
    await bus.ask(conversation, "end", owner=recorder.owner, ends=True)
    after = await another().open(resume=opened.epoch)
    assert not after.resumed
    assert after.previous_offset == 100
    # The new session is not closed by the old one's end.
    assert (await another().open(resume=after.epoch)).resumed


async def test_an_unknown_session_has_no_former_end(recorder):
    opened = await recorder.open(resume=12345)
    assert not opened.resumed
    assert opened.previous_offset is None


@pytest.mark.parametrize("other", ["opus:16000:1:312", "pcm16:48000:1:312", "pcm16:16000:2:312"])
async def test_a_session_resumes_only_with_its_codec_rate_and_channels(
    recorder, bus, conversation, now_ms, other
):
    opened = await recorder.open()
    with pytest.raises(FormatMismatchError, match="pcm16:16000:1:312"):
        await bus.open(conversation, owner="x", format=other, now_ms=now_ms, resume=opened.epoch)


async def test_another_pre_skip_keeps_no_session_from_being_resumed(recorder, bus, conversation, now_ms):
    opened = await recorder.open()
    again = await bus.open(
        conversation, owner="x", format="pcm16:16000:1:400", now_ms=now_ms, resume=opened.epoch
    )
    assert again.resumed


async def test_a_tombstone_refuses(recorder, bus, conversation):
    await bus.command("SET", bus.keys.tomb(conversation), "1")
    with pytest.raises(ConversationDeletedError):
        await recorder.open()
    assert not await bus.buffered(conversation)


async def test_a_merge_refuses_and_names_the_target(recorder, bus, conversation):
    await bus.command("HSET", bus.keys.conv(conversation), "merging", "target-1")
    with pytest.raises(MergingError) as raised:
        await recorder.open()
    assert raised.value.target == "target-1"


async def test_ends_older_than_they_are_kept_for_go(another, bus, conversation, now_ms):
    for number in range(140):
        await another().open(now_ms=now_ms + number)
    await bus.command(
        "HDEL", bus.keys.conv(conversation), "ends_look"
    )  # else only when there are twice as many
    much_later = now_ms + ENDS_KEPT_MS + 10_000
    await another().open(now_ms=much_later)
    fields = await bus.command("HKEYS", bus.keys.conv(conversation))
    ends = [field for field in fields if field.startswith(b"end:")]
    # The one that has just ended is noted now; all others are older than a month.
    assert len(ends) == 1


async def test_only_so_many_ends_are_kept_and_looking_at_them_costs_little(
    another, bus, conversation, now_ms
):
    """A plain device begins a session with each reconnect: in a month that may be hundreds of thousands."""
    conv = bus.keys.conv(conversation)
    await another().open(now_ms=now_ms)
    for first in range(1, 50_001, 1_000):
        ends = [
            part
            for number in range(first, first + 1_000)
            for part in (f"end:{now_ms - number}", f"1:{now_ms}")
        ]
        await bus.command("HSET", conv, *ends)
    looks = set()
    for number in range(1, ENDS_KEPT + 200):
        await another().open(now_ms=now_ms + number)
        looks.add(await bus.command("HGET", conv, "ends_look"))
    fields = await bus.command("HKEYS", conv)
    epochs = sorted(int(field[4:]) for field in fields if field.startswith(b"end:"))
    assert ENDS_KEPT <= len(epochs) <= 2 * ENDS_KEPT + 50
    assert epochs == list(range(now_ms + ENDS_KEPT + 199 - len(epochs), now_ms + ENDS_KEPT + 199))
    assert len(looks) <= 3
