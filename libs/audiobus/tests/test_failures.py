"""Drains in vain are counted in Redis, until something is stored."""

import pytest

from audiobus import Cut, CutStands
from audiobus.errors import BadEntryError
from audiobus.failures import MOST_CHARACTERS, Failures, note, read


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


async def test_a_count_that_is_none(bus, conversation):
    await bus.command("HSET", bus.keys.conv(conversation), "fails", "many")
    with pytest.raises(BadEntryError, match="many"):
        await read(bus, conversation)
