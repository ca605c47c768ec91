"""Dead letters are read once: what is remembered of them, and for how long."""

import pytest

from audiobus import Conversation, EntryId
from audiobus.deletions import discard
from storage_api import known_letters
from storage_api.known_letters import KnownLetters

T0 = 1_700_000_000_000


@pytest.fixture
def reads(one_bus, monkeypatch) -> list[int]:
    """How many letters were asked for with their audio, by page."""
    counts = []
    real = one_bus.command

    async def counted(command, *args):
        if command == "HMGET" and ":dead:" in args[0]:
            counts.append(len(args) - 1)
        return await real(command, *args)

    monkeypatch.setattr(one_bus, "command", counted)
    return counts


@pytest.fixture
def bury(one_bus):
    async def one(tape, *numbers) -> list[EntryId]:
        entries = [entry for entry in await one_bus.read(tape.conversation, count=99) if entry.chunk]
        for number in numbers:
            entry = entries[number]
            assert await one_bus.bury(
                tape.conversation,
                entry,
                reason="test",
                first_offset=tape.chunks[number - 1][1] if number else 0,
                samples=entry.counted_samples,
                now_ms=T0,
            )
        return [entries[number].id for number in numbers]

    return one


async def test_each_is_read_once_and_told_as_long_as_it_is_there(
    tape, one_bus, conversation, pcm_tone, bury, reads
):
    await tape.record(pcm_tone(5))
    first, second = await bury(tape, 1, 3)
    known = KnownLetters()
    told = await known.of(one_bus, conversation)
    assert {(one.id, one.span.samples) for one in told} == {(first, 48_000), (second, 48_000)}
    assert await known.of(one_bus, conversation) == told
    assert reads == [2]
    [third] = await bury(tape, 0)
    assert {one.id for one in await known.of(one_bus, conversation)} == {first, second, third}
    assert reads == [2, 1]
    assert await discard(one_bus, conversation, first, T0) is not None
    reads.clear()  # `discard` looks at them too
    assert {one.id for one in await known.of(one_bus, conversation)} == {second, third}
    assert reads == []
    assert await known.of(one_bus, Conversation("user-1", "other")) == []


async def test_what_is_no_letter_is_read_each_time(tape, one_bus, conversation, pcm_tone, bury, reads):
    """It may become one again: somebody mends it by hand."""
    await tape.record(pcm_tone(3))
    [letter] = await bury(tape, 1)
    key = one_bus.keys.dead(conversation)
    good = await one_bus.command("HGET", key, str(letter))
    await one_bus.command("HSET", key, str(letter), b"\xc1", "what?", b"x")
    known = KnownLetters()
    assert [one.span for one in await known.of(one_bus, conversation)] == [None]
    await one_bus.command("HSET", key, str(letter), good)
    [told] = await known.of(one_bus, conversation)
    assert told.span is not None
    assert reads == [2, 2]
    assert await known.of(one_bus, conversation) == [told]
    assert reads == [2, 2, 1]


async def test_no_more_are_remembered_than_may_be(
    tape, one_bus, conversation, pcm_tone, bury, reads, monkeypatch
):
    monkeypatch.setattr(known_letters, "REMEMBERED_LETTERS", 2)
    monkeypatch.setattr(known_letters, "PAGE_LETTERS", 1)
    await tape.record(pcm_tone(4))
    await bury(tape, 0, 1, 2)
    known = KnownLetters()
    told = {one.id for one in await known.of(one_bus, conversation)}
    assert len(known._known) == 2
    assert {one.id for one in await known.of(one_bus, conversation)} == told
    assert reads == [3, 1]


async def test_a_request_reads_only_those_that_came_since(api, tape, conversation, pcm_tone, bury, reads):
    await tape.record(pcm_tone(4))
    await bury(tape, 1)
    for path in ("/chunks", "/audio", "/waveform", "", "/recordings"):
        answer = await api.get(conversation, path)
        assert answer.status_code == 200
    assert reads == [1]
