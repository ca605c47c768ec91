"""Operations: written down once, carried out by whoever holds the lease, kept a while."""

import asyncio

import pytest

from audiobus import operations
from audiobus.errors import BadEntryError
from audiobus.operations import KEPT_MS


async def begun(bus, operation_id: str = "op-1") -> None:
    assert await operations.begin(bus, operation_id, "delete", "user-1", b"{}")


async def until_due(bus) -> list[str]:
    async with asyncio.timeout(5):
        while not (ids := await operations.due(bus)):
            await asyncio.sleep(0.005)
    return ids


async def test_an_operation_is_due_at_once_and_begun_once(bus):
    await begun(bus)
    assert not await operations.begin(bus, "op-1", "other", "user-2", b"[]")
    found = await operations.find(bus, "op-1")
    assert (found.kind, found.uid, found.request, found.done, found.tries) == (
        "delete",
        "user-1",
        b"{}",
        False,
        0,
    )
    assert found.created_ms > 1_700_000_000_000
    assert await operations.due(bus) == ["op-1"]
    assert await operations.find(bus, "op-2") is None


async def test_only_who_holds_the_lease_writes(bus):
    await begun(bus)
    assert await operations.take(bus, "op-1", "a", 60_000)
    assert await operations.due(bus) == []
    assert not await operations.take(bus, "op-1", "b", 60_000)
    assert await operations.take(bus, "op-1", "a", 60_000)  # a lost reply
    assert not await operations.write(bus, "op-1", "b", "hold", 60_000, {"step": b"2"})
    assert await operations.write(bus, "op-1", "a", "hold", 60_000, {"step": b"1"})
    assert (await operations.find(bus, "op-1")).step == b"1"


async def test_a_lease_that_ended_goes_to_another_and_its_former_holder_writes_nothing_more(bus):
    await begun(bus)
    assert await operations.take(bus, "op-1", "a", 1)
    assert await until_due(bus) == ["op-1"]
    assert await operations.take(bus, "op-1", "b", 60_000)
    for writing in ("hold", "later", "done"):
        assert not await operations.write(bus, "op-1", "a", writing, 1, {"result": b"wrong"})
    found = await operations.find(bus, "op-1")
    assert (found.result, found.done) == (b"", False)


async def test_what_is_left_for_later_is_nobodys_until_then(bus):
    await begun(bus)
    await operations.take(bus, "op-1", "a", 60_000)
    assert await operations.write(bus, "op-1", "a", "later", 60_000, {"tries": 3, "error": b'{"a":1}'})
    assert await operations.due(bus) == []
    assert (await operations.find(bus, "op-1")).tries == 3
    assert await operations.take(bus, "op-1", "b", 60_000)


async def test_what_is_done_is_kept_a_week_and_not_looked_at(bus):
    await begun(bus)
    await operations.take(bus, "op-1", "a", 60_000)
    assert await operations.write(bus, "op-1", "a", "done", KEPT_MS, {"result": b"7"})
    assert not await operations.write(bus, "op-1", "a", "hold", 1, {"result": b"8"})
    found = await operations.find(bus, "op-1")
    assert (found.result, found.done) == (b"7", True)
    assert not await operations.take(bus, "op-1", "a", 60_000)
    assert 0 < await bus.command("PTTL", bus.keys.operation("op-1")) <= KEPT_MS
    assert await bus.command("ZCARD", bus.keys.operations()) == 0


async def test_one_that_is_forgotten_leaves_the_list(bus):
    await begun(bus)
    await bus.command("DEL", bus.keys.operation("op-1"))
    assert await operations.due(bus) == ["op-1"]
    assert not await operations.take(bus, "op-1", "a", 60_000)
    assert await operations.due(bus) == []


async def test_what_no_script_of_ours_wrote_is_named(bus):
    await bus.command("HSET", bus.keys.operation("op-1"), "kind", "x")
    with pytest.raises(BadEntryError, match="op-1"):
        await operations.find(bus, "op-1")
