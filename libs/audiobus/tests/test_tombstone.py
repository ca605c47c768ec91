"""Tombstones of conversations, as those set them who are asked to delete."""

import pytest

from audiobus import Conversation
from audiobus.deletions import set_tombstone
from audiobus.errors import MergingError
from audiobus.tombstone import Tombstone, entomb, under_tombstones

CONVERSATION = Conversation("user-1", "conv-1")


async def test_it_is_set_once_and_tells_what_was_received(bus):
    await bus.command("HSET", bus.keys.conv(CONVERSATION), "in", 4800)
    assert await entomb(bus, CONVERSATION, 1_700_000_000_000) == Tombstone(True, False, 4800)
    assert await entomb(bus, CONVERSATION, 1_700_000_000_001) == Tombstone(False, False, 4800)
    assert await bus.command("GET", bus.keys.tomb(CONVERSATION)) == b"1700000000000"
    assert await bus.command("PTTL", bus.keys.tomb(CONVERSATION)) > 29 * 24 * 3_600_000


async def test_of_what_redis_knows_nothing_it_is_set_too(bus):
    assert await entomb(bus, CONVERSATION, 1) == Tombstone(True, False, 0)


async def test_what_a_merge_holds_is_left(bus):
    await bus.command("HSET", bus.keys.conv(CONVERSATION), "merging", "user-1/conv-2")
    with pytest.raises(MergingError) as raised:
        await entomb(bus, CONVERSATION, 1)
    assert raised.value.target == "user-1/conv-2"
    assert not await bus.tombstone(CONVERSATION)


async def test_what_was_merged_says_so(bus):
    await set_tombstone(bus, CONVERSATION, 1_700_000_000_000, merged_into=Conversation("user-1", "conv-2"))
    assert await entomb(bus, CONVERSATION, 2) == Tombstone(False, True, 0)


async def test_which_of_many_are_gone(bus):
    others = [Conversation("user-1", f"other-{number}") for number in range(3)]
    await set_tombstone(bus, CONVERSATION, 1_700_000_000_000, merged_into=others[0])
    await entomb(bus, others[1], 2)
    assert await under_tombstones(bus, [*others, CONVERSATION]) == {others[1], CONVERSATION}
    assert await under_tombstones(bus, []) == set()
