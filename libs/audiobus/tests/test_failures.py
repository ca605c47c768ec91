"""Drains in vain are counted in Redis, until something is stored."""

import pytest

from audiobus import Cut, CutStands
from audiobus.deletions import emptied, set_tombstone, sweep
from audiobus.errors import BadEntryError
from audiobus.failures import MOST_CHARACTERS, Failures, note, read
from audiobus.look import look


async def test_failures_are_counted_until_something_is_stored(bus, recorder, conversation, now_ms):
    assert await note(bus, conversation, "nobody knows it", now_ms) == 0
    assert await read(bus, conversation) == Failures()
    await recorder.open()
    await recorder.append(100)
    assert [await note(bus, conversation, why, now_ms) for why in ("the bucket", "x" * 1000)] == [1, 2]
    assert await read(bus, conversation) == Failures(2, "x" * MOST_CHARACTERS, now_ms)
    state = await bus.state(conversation)
    cut = Cut(1, str(state.newest), str(state.newest), "", "standard", "size")
    assert await bus.cut(conversation, cut, settled=None) == CutStands()
    assert await bus.finish(
        conversation, cut.encode(), last=cut.last_id, preroll=None, samples=4_800, ends={}, now_ms=0
    )
    assert await read(bus, conversation) == Failures()


async def test_they_are_forgotten_where_all_of_a_deleted_conversation_is_gone(
    bus, recorder, conversation, now_ms
):
    """Whoever sweeps it knows nothing of those that another met."""
    await recorder.open()
    await recorder.append(100)
    await note(bus, conversation, "the bucket", now_ms)
    await emptied(bus, conversation)  # it is not deleted
    assert await read(bus, conversation) == Failures(1, "the bucket", now_ms)
    await set_tombstone(bus, conversation, now_ms)
    await sweep(bus, conversation, now_ms)
    # The bucket comes next, and may fail again.
    assert await read(bus, conversation) == Failures(1, "the bucket", now_ms)
    assert (await look(bus, [conversation]))[0].failing
    assert await emptied(bus, conversation) == 0
    assert await read(bus, conversation) == Failures()
    assert not (await look(bus, [conversation]))[0].failing


async def test_a_count_that_is_none(bus, conversation):
    await bus.command("HSET", bus.keys.conv(conversation), "fails", "many")
    with pytest.raises(BadEntryError, match="many"):
        await read(bus, conversation)
