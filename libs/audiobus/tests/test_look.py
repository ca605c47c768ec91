"""Looks at many conversations at once."""

import msgspec
import pytest

from audiobus import AppendRequest, Chunk, Conversation, EntryId, Hints
from audiobus.census import Balance, exact
from audiobus.chunk import HEAD_BYTES, VERSION, decode_chunk, made_ms
from audiobus.deletions import set_tombstone, sweep
from audiobus.look import SCAN_COUNT, look, on_due

CHUNK = Chunk(VERSION, 1_732_147_200_123, "opus", 16_000, 1, 0, 0, 960, 0, 0, False, 0, ())


@pytest.mark.parametrize(
    "at_ms", [0, 1, 127, 128, 255, 256, 65_536, 2**32 - 1, 2**32, 1_732_147_200_123, 2**62]
)
def test_a_chunk_says_at_its_beginning_when_it_was_made(at_ms):
    assert made_ms(msgspec.structs.replace(CHUNK, at_ms=at_ms).encode()[:HEAD_BYTES]) == at_ms


@pytest.mark.parametrize(
    "integer",
    [
        b"\xd0\x05",
        b"\xd1\x00\x05",
        b"\xd2\x00\x00\x00\x05",
        b"\xd3\x00\x00\x00\x00\x00\x00\x00\x05",
        b"\xcf" + bytes(7) + b"\x05",
        b"\xce" + bytes(3) + b"\x05",
    ],
)
def test_it_is_read_as_the_whole_chunk_is(integer):
    """Whoever decides by the beginning and whoever decides by the chunk must agree, or they undo each other's work for ever."""
    data = msgspec.structs.replace(CHUNK, at_ms=5, samples=0).encode()
    data = data[:2] + integer + data[3:]
    assert made_ms(data[:HEAD_BYTES]) == decode_chunk(data).at_ms == 5


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x9d\x01\xd0\xff",
        b"\x9d\x01\xd2\x00",
        b"\x9d\x01",
        b"\x9d\x02\x05",
        b"\xc1\x01\x05",
        b"\x9d\x01\xcf\x00",
        b"\x9d\x01\xcd\x00",
        b"\x9d\x01\xc0",
    ],
)
def test_what_begins_like_no_chunk(head):
    assert made_ms(head) is None


async def append(recorder, chunk: bytes) -> None:
    """A chunk of 20 ms."""
    end = EntryId(recorder.newest.epoch, recorder.newest.offset + 20)
    request = AppendRequest(recorder.conversation, recorder.owner, recorder.newest, end, chunk, 960, None, 0)
    await recorder.bus.append(request)
    recorder.newest = end


async def test_a_look_says_what_the_books_say_and_since_when_audio_waits(bus, recorder_for, now_ms):
    nobody, opened, poisoned, recorded = (
        recorder_for(Conversation("user", name)) for name in ("nobody", "opened", "poisoned", "recorded")
    )
    for one in (opened, poisoned, recorded):
        await one.open(now_ms=now_ms)
    await append(poisoned, b"\xc1 damaged")
    for back in range(9):  # a device that came back before it said anything
        await recorded.open(now_ms=now_ms + back)
    await append(recorded, CHUNK.encode())
    await append(recorded, msgspec.structs.replace(CHUNK, at_ms=now_ms + 5_000).encode())
    [entry] = await bus.read(poisoned.conversation, count=1, after=EntryId(now_ms, 0))
    assert await bus.bury(poisoned.conversation, entry, reason="x", first_offset=0, samples=960, now_ms=0)
    await append(poisoned, b"\xc1 damaged")
    found = await look(bus, [one.conversation for one in (nobody, opened, poisoned, recorded)])
    assert [one.oldest_ms for one in found] == [None, None, now_ms, CHUNK.at_ms]
    assert [(one.entries, one.letters) for one in found] == [(0, 0), (1, 0), (2, 1), (12, 0)]
    assert [one.balance for one in found] == [await exact(bus, one.conversation) for one in found]
    assert not any(one.suspicious or one.deleted for one in found)
    assert await look(bus, []) == []


async def test_what_is_deleted_and_not_swept(bus, recorder_for, now_ms):
    one = recorder_for(Conversation("user", "deleted"))
    await one.open(now_ms=now_ms)
    await append(one, CHUNK.encode())
    await set_tombstone(bus, one.conversation, now_ms)
    [found] = await look(bus, [one.conversation])
    assert (found.deleted, found.unswept) == (True, True)
    await sweep(bus, one.conversation, now_ms)
    [found] = await look(bus, [one.conversation])
    assert (found.deleted, found.unswept, found.suspicious) == (True, False, False)
    await bus.command("HSET", bus.keys.conv(one.conversation), "in", 1_920, "out", 960)
    [found] = await look(bus, [one.conversation])
    assert found.unswept


@pytest.mark.parametrize(
    ("field", "value"), [("in", 4_800), ("out", 4_800), ("dead", 4_800), ("dead", -1), ("in", "many")]
)
async def test_numbers_that_cannot_be_true(field, value, bus, conversation):
    await bus.command("HSET", bus.keys.conv(conversation), field, value)
    [found] = await look(bus, [conversation])
    assert found.suspicious
    assert found.legible == (value != "many")
    assert found.legible or found.balance == Balance()


async def test_everything_on_due_is_found(bus):
    hints = Hints(bus)
    conversations = {Conversation("user", f"c{number}") for number in range(SCAN_COUNT + 50)}
    for conversation in conversations:
        await hints.due(conversation, 1)
    await bus.command("ZADD", bus.keys.due(0), 1, "not ours")
    pages = [page for p in range(bus.keys.partitions) async for page in on_due(bus, p)]
    assert {one for page in pages for one in page} == conversations
