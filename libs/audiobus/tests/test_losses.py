"""How far Redis has a session, and who counts what it lost."""

import pytest

from audiobus import Bus, Conversation, EntryId
from audiobus.errors import BusUnavailableError
from audiobus.losses import CLAIM_KEPT_MS, Extent, claim, extents


async def only(bus, conversation, epoch):
    return (await extents(bus, [(conversation, epoch)]))[0]


async def test_how_far_redis_has_a_session(bus, recorder, conversation, now_ms):
    assert await extents(bus, []) == []
    assert await only(bus, conversation, now_ms) == Extent(0, None)
    opened = await recorder.open()
    await recorder.append(100)
    assert await only(bus, conversation, opened.epoch) == Extent(100, None)
    assert await only(bus, conversation, opened.epoch + 1) == Extent(0, None)
    again = await recorder.open()
    settled = str(EntryId(opened.epoch, 100))
    await bus.command("HSET", bus.keys.conv(conversation), "settled", settled)
    assert await only(bus, conversation, opened.epoch) == Extent(100, EntryId(opened.epoch, 100))
    assert await only(bus, conversation, again.epoch) == Extent(0, EntryId(opened.epoch, 100))
    assert await only(bus, conversation, opened.epoch - 1) == Extent(0, EntryId(opened.epoch, 100))


async def test_what_cannot_be_known_is_no_loss(bus, recorder, conversation):
    opened = await recorder.open()
    key = bus.keys.conv(conversation)
    await bus.command("HSET", key, "ends_look", 5_000)  # so many sessions that the oldest ends have gone
    assert await only(bus, conversation, opened.epoch - 1) is None
    await bus.command("HSET", key, "newest", "rubbish")
    assert await only(bus, conversation, opened.epoch) is None
    await bus.command("DEL", key)
    await bus.command("SET", key, "no hash")
    other = Conversation("u", "other")
    assert await extents(bus, [(conversation, 1), (other, 1)]) == [None, Extent(0, None)]


async def test_each_byte_is_counted_by_one(bus, conversation):
    assert await claim(bus, conversation, 7, 100, 300, who="a") == 200
    assert await claim(bus, conversation, 7, 100, 300, who="a") == 200  # its answer was lost
    assert await claim(bus, conversation, 7, 50, 300, who="b") == 50
    assert await claim(bus, conversation, 7, 200, 450, who="c") == 150
    assert await claim(bus, conversation, 7, 50, 450, who="d") == 0
    assert await claim(bus, conversation, 8, 50, 450, who="d") == 400
    assert 0 < await bus.command("PTTL", bus.keys.lost(conversation)) <= CLAIM_KEPT_MS


async def test_a_redis_that_is_away_knows_nothing(redis_process, conversation):
    redis_process.kill()
    async with Bus(redis_process.url) as bus:
        with pytest.raises(BusUnavailableError):
            await extents(bus, [(conversation, 1)])
        with pytest.raises(BusUnavailableError):
            await claim(bus, conversation, 1, 0, 1, who="a")
