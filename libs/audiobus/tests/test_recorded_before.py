"""What Redis holds of a user from before a moment."""

from audiobus import Conversation, EntryId
from audiobus.recorded_before import (
    TOGETHER,
    Waiting,
    appended_late,
    conversations_of,
    newest_ids,
    waits_before,
)

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


def made(at_ms: int) -> bytes:
    """The head of a chunk that was made then."""
    return b"\x9d\x01\xcf" + at_ms.to_bytes(8, "big")


async def append(bus, conversation, entry_id: str, chunk: bytes) -> None:
    await bus.command("XADD", bus.keys.audio(conversation), entry_id, "c", chunk, "s", "960")


async def test_the_newest_ids_of_many_are_read_together(bus):
    many = [Conversation("user-1", f"conv-{number}") for number in range(TOGETHER + 1)]
    for one in many:
        await bus.command("HSET", bus.keys.conv(one), "newest", "5-7")
    assert await newest_ids(bus, many) == dict.fromkeys(many, EntryId(5, 7))


async def test_an_opening_is_no_audio(bus):
    await open_(bus, A)
    assert await waits_before(bus, A, 1_800_000_000_000) == Waiting()


async def test_audio_waits_that_was_made_before_and_what_does_not_say_is_as_old_as_its_session(bus):
    await open_(bus, A)
    await append(bus, A, "1700000000000-10", made(1_700_000_005_000))
    assert not (await waits_before(bus, A, 1_700_000_005_000)).made_before
    assert (await waits_before(bus, A, 1_700_000_005_001)).made_before
    await open_(bus, B)
    await append(bus, B, "1700000000000-10", b"damaged")
    assert not (await waits_before(bus, B, 1_700_000_000_000)).made_before
    assert (await waits_before(bus, B, 1_700_000_000_001)).made_before


async def test_what_was_appended_before_and_made_later_by_its_own_word_is_named(bus):
    await open_(bus, A)
    for offset in (10, 20, 30):
        await append(bus, A, f"1700000000000-{offset}", made(1_700_000_005_000))
    newest = EntryId(1_700_000_000_000, 20)
    waiting = await waits_before(bus, A, 1_700_000_001_000, newest)
    assert waiting == Waiting(entries={EntryId(1_700_000_000_000, 10): 960, newest: 960})
    assert await waits_before(bus, A, 1_700_000_001_000) == Waiting()


async def test_dead_letters_wait_and_what_is_none_is_counted(bus):
    await open_(bus, A)
    for offset in (10, 20, 30):
        await append(bus, A, f"1700000000000-{offset}", made(1_700_000_005_000))
    for entry in await bus.read(A, count=9):
        if entry.chunk:
            assert await bus.bury(A, entry, reason="t", first_offset=0, samples=960, now_ms=1)
    await bus.command("HSET", bus.keys.dead(A), "none of ours", "x")
    newest = EntryId(1_700_000_000_000, 20)
    waiting = await waits_before(bus, A, 1_700_000_001_000, newest)
    assert (sorted(waiting.letters), waiting.unreadable) == ([EntryId(1_700_000_000_000, 10), newest], 1)
    assert (await waits_before(bus, A, 1_700_000_005_001)).made_before


async def test_what_came_late_is_from_before_up_to_the_last_that_was_made_then(bus):
    await open_(bus, A)
    await open_(bus, B)
    for offset, at_ms in ((10, 1_000), (20, 1_700_000_000_500), (30, 1_700_000_002_000)):
        await append(bus, A, f"1700000000000-{offset}", made(at_ms))
    await append(bus, B, "1700000000000-10", made(1_700_000_002_000))
    late = await appended_late(bus, [A, B], {A: EntryId(1_700_000_000_000, 10)}, 1_700_000_001_000)
    assert late == {A: EntryId(1_700_000_000_000, 20)}
    assert await appended_late(bus, [A, B], {A: EntryId(1_700_000_000_000, 20)}, 1_700_000_001_000) == {}
