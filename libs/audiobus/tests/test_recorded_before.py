"""What Redis holds of a user from before a moment."""

from audiobus import Conversation, EntryId
from audiobus.recorded_before import conversations_of, newest_ids, waits_before

A, B = Conversation("user-1", "conv-1"), Conversation("user-1", "conv-2")
OTHERS = [Conversation("user-11", "conv-1"), Conversation("user", "conv-1")]


async def open_(bus, conversation, now_ms: int = 1_700_000_000_000):
    return await bus.open(conversation, owner="o", format="pcm16:16000:1:312", now_ms=now_ms)


async def test_every_conversation_of_the_user_is_found_and_no_others(bus):
    await open_(bus, A)
    await bus.command("HSET", bus.keys.dead(B), "1-1", "x")
    for other in OTHERS:
        await open_(bus, other)
    assert await conversations_of(bus, "user-1") == {A, B}
    assert await conversations_of(bus, "nobody") == set()


async def test_the_newest_id_is_known_where_somebody_recorded(bus):
    opened = await open_(bus, A)
    assert await newest_ids(bus, [A, B]) == {A: EntryId(opened.epoch, 0)}


async def test_an_opening_is_no_audio(bus):
    await open_(bus, A)
    assert not await waits_before(bus, A, 1_800_000_000_000)


async def test_audio_waits_that_was_made_before_and_what_does_not_say_is_as_old_as_its_session(bus):
    chunk = b"\x9d\x01\xcf" + (1_700_000_005_000).to_bytes(8, "big")
    await open_(bus, A)
    await bus.command("XADD", bus.keys.audio(A), "1700000000000-10", "c", chunk)
    assert not await waits_before(bus, A, 1_700_000_005_000)
    assert await waits_before(bus, A, 1_700_000_005_001)
    await open_(bus, B)
    await bus.command("XADD", bus.keys.audio(B), "1700000000000-10", "c", b"damaged")
    assert not await waits_before(bus, B, 1_700_000_000_000)
    assert await waits_before(bus, B, 1_700_000_000_001)
