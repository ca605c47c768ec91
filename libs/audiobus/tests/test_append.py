"""The script append: exactly once, without a hole."""

import pytest

from audiobus import Appended, Bus, EntryId, Misplaced, Replaced
from audiobus.errors import BusFullError, ConversationDeletedError


async def test_chunks_follow_one_another(recorder, bus, conversation, now_ms):
    opened = await recorder.open()
    for end in (100, 200, 350):
        answer = await recorder.append(end)
        assert isinstance(answer, Appended)
    assert answer.newest == EntryId(opened.epoch, 350)
    assert answer.waiting_samples == 350 * 48
    assert answer.entries == 4
    entries = await bus.read(conversation, count=10)
    assert [entry.chunk for entry in entries] == [None, b"0..100", b"100..200", b"200..350"]
    state = await bus.state(conversation)
    assert state.newest == EntryId(opened.epoch, 350)
    assert (state.received_samples, state.stored_samples, state.waiting_samples) == (16_800, 0, 16_800)


async def test_a_repeat_after_a_lost_reply_changes_nothing(recorder, bus, conversation):
    await recorder.open()
    request = recorder.request(100)
    assert await bus.append(request) == await bus.append(request)
    assert len(await bus.read(conversation, count=10)) == 2
    assert (await bus.state(conversation)).received_samples == 4800


async def test_a_hole_is_refused(recorder, bus, conversation):
    opened = await recorder.open()
    await recorder.append(100)
    answer = await recorder.append(300, before=EntryId(opened.epoch, 200))
    assert answer == Misplaced(EntryId(opened.epoch, 100))
    assert len(await bus.read(conversation, count=10)) == 2


async def test_an_overlap_is_refused(recorder):
    opened = await recorder.open()
    await recorder.append(100)
    answer = await recorder.append(150, before=EntryId(opened.epoch, 50))
    assert answer == Misplaced(EntryId(opened.epoch, 100))


async def test_a_tombstone_refuses(recorder, bus, conversation):
    await recorder.open()
    await bus.command("SET", bus.keys.tomb(conversation), "1")
    with pytest.raises(ConversationDeletedError):
        await recorder.append(100)


async def test_who_owns_nothing_appends_nothing(recorder, bus, conversation, now_ms):
    recorder.newest = EntryId(now_ms, 0)
    answer = await recorder.append(100)
    assert answer == Replaced("", None)
    assert not await bus.buffered(conversation)


async def test_stored_stops_before_the_first_dead_byte(recorder, bus, conversation):
    opened = await recorder.open()
    await recorder.append(100)
    await bus.command(
        "HSET", bus.keys.conv(conversation), "settled", f"{opened.epoch}-100", f"dead:{opened.epoch}", 40
    )
    answer = await recorder.append(200)
    assert answer.stored_offset == 40
    stands = await bus.stored(conversation, opened.epoch)
    assert (stands.newest, stands.settled, stands.dead_offset) == (
        answer.newest,
        EntryId(opened.epoch, 100),
        40,
    )


async def test_a_full_redis_refuses_and_loses_nothing(redis_process, recorder_on, conversation):
    async with Bus(redis_process.url) as bus:
        recorder = recorder_on(bus)
        await recorder.open()
        await bus.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(BusFullError):
            await recorder.append(100)
        await bus.command("CONFIG", "SET", "maxmemory", "0")
        assert isinstance(await recorder.append(100), Appended)
        assert len(await bus.read(conversation, count=10)) == 2
