"""Word of what is frozen, on real servers: said with each freezing that is asked for and when a conversation went, read from any id on, bounded, and said also where memory is full."""

import pytest

from audiobus import Bus, Conversation, EntryId, frozen, merging
from audiobus.deletions import set_tombstone
from audiobus.errors import BusUnavailableError

TARGET = Conversation("user-1", "all")
LATER = 10**14


FIRST = EntryId(0, 0)


async def tags(bus, since=FIRST) -> list[str]:
    return [word.tag for word in await frozen.told_frozen(bus, since)]


async def test_a_freezing_is_said_and_again_when_the_conversation_went(bus, conversation):
    assert await tags(bus) == []
    for word in ("one", "another"):  # the second finds the first
        await merging.freeze(bus, conversation, TARGET, "op", word, until_ms=LATER)
    assert await tags(bus) == [conversation.tag] * 2
    await merging.thaw(bus, conversation, "op")
    await merging.freeze(bus, conversation, TARGET, "op", "third", until_ms=LATER)
    assert await tags(bus) == [conversation.tag] * 3
    await set_tombstone(bus, conversation, 1, merged_into=TARGET)
    taken = merging.Taken(await bus.command("GET", bus.keys.tomb(conversation)), 0)
    for _ in range(2):
        await merging.take_in(bus, TARGET, conversation, taken)
    assert await tags(bus) == [conversation.tag] * 5


async def test_what_was_frozen_but_not_said_is_said_by_whoever_freezes_it_again(
    bus, conversation, monkeypatch
):
    async def away(bus, conversation):
        raise BusUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(merging, "tell_frozen", away)
        with pytest.raises(BusUnavailableError):
            await merging.freeze(bus, conversation, TARGET, "op", "one", until_ms=LATER)
    assert await tags(bus) == []
    stands = await merging.freeze(bus, conversation, TARGET, "op", "another", until_ms=LATER)
    assert stands.token == "op one"
    assert await tags(bus) == [conversation.tag]


async def test_it_is_read_in_pages_from_any_word_on(bus, monkeypatch):
    monkeypatch.setattr(frozen, "PAGE", 3)
    for number in range(5):
        await frozen.tell_frozen(bus, Conversation("u", f"c{number}"))
    first = await frozen.told_frozen(bus, FIRST)
    assert [word.tag for word in first] == ["u/c0", "u/c1", "u/c2"]
    assert await tags(bus, first[-1].id) == ["u/c2", "u/c3", "u/c4"]
    assert await tags(bus, first[-1].id.next()) == ["u/c3", "u/c4"]


async def test_only_so_many_are_kept(bus, conversation, monkeypatch):
    monkeypatch.setattr(frozen, "KEPT", 100)
    for _ in range(350):
        await frozen.tell_frozen(bus, conversation)
    assert await bus.command("XLEN", bus.keys.frozen()) < 300


async def test_it_is_said_where_memory_is_full(redis_process, conversation):
    async with Bus(redis_process.url) as bus:
        await frozen.tell_frozen(bus, conversation)
        await bus.command("CONFIG", "SET", "maxmemory", "1")
        try:
            await frozen.tell_frozen(bus, conversation)
            assert await tags(bus) == [conversation.tag] * 2
        finally:
            await bus.command("CONFIG", "SET", "maxmemory", "0")
