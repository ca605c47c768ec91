"""Operations: written down once, carried out by whoever holds the lease, kept a while."""

import asyncio

import pytest

from audiobus import operations
from audiobus.errors import BadEntryError, TooManyOperationsError
from audiobus.operations import KEPT_MS


async def begun(bus, operation_id: str = "op-1") -> None:
    assert await operations.begin(bus, operation_id, "delete", "user-1", b"{}")


async def until_due(bus) -> list[str]:
    async with asyncio.timeout(60):
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


async def test_no_more_of_a_kind_are_undone_for_a_user_than_may_be(bus):
    async def begin(number: int, kind: str = "delete", uid: str = "user-1") -> bool:
        return await operations.begin(bus, f"op-{number}", kind, uid, b"{}", most=2)

    assert await begin(1)
    assert await begin(2)
    assert not await begin(2)  # a lost reply
    with pytest.raises(TooManyOperationsError):
        await begin(3)
    assert await operations.find(bus, "op-3") is None
    assert await operations.undone(bus, "delete", "user-1") == ["op-1", "op-2"]
    assert await begin(4, kind="merge")
    assert await begin(5, uid="user-2")
    assert await operations.take(bus, "op-1", "a", 60_000)
    assert await operations.write(bus, "op-1", "a", "done", KEPT_MS, {})
    assert await operations.undone(bus, "delete", "user-1") == ["op-2"]
    assert list(await operations.begun(bus, "delete", "user-1")) == ["op-1", "op-2"]
    assert await begin(6)
    when = await operations.begun(bus, "delete", "user-1")
    assert list(when) == ["op-1", "op-2", "op-6"]
    assert when["op-1"] < when["op-2"] < when["op-6"]
    assert await operations.begun(bus, "delete", "user-3") == {}
    assert await operations.undone(bus, "delete", "user-1") == ["op-2", "op-6"]
    assert 0 < await bus.command("PTTL", bus.keys.operations_of("delete", "user-1")) <= KEPT_MS


async def test_what_is_done_is_told_for_an_hour_and_of_very_many_the_last(bus, monkeypatch):
    async def begin(number: int) -> None:
        assert await operations.begin(bus, f"op-{number}", "merge", "user-1", b"{}", most=8)

    async def finish(number: int) -> None:
        assert await operations.take(bus, f"op-{number}", "a", 60_000)
        assert await operations.write(bus, f"op-{number}", "a", "done", KEPT_MS, {})

    key = bus.keys.operations_of("merge", "user-1")
    for number in range(1, 4):
        await begin(number)
    await finish(1)
    for number in (1, 2):
        await bus.command("ZINCRBY", key, -operations.BEGUN_KEPT_MS - 1, f"op-{number}")
    await begin(4)
    assert list(await operations.begun(bus, "merge", "user-1")) == ["op-2", "op-3", "op-4"]
    await finish(3)
    await finish(4)
    monkeypatch.setattr(operations, "BEGUN_KEPT", 2)
    await begin(5)
    assert list(await operations.begun(bus, "merge", "user-1")) == ["op-2", "op-4", "op-5"]


async def test_processes_that_end_without_a_word_are_counted_and_from_the_second_on_it_is_left_alone(bus):
    await begun(bus)
    for number in range(2):
        assert await operations.take(bus, "op-1", f"dies-{number}", 1)
        assert await until_due(bus) == ["op-1"]
    found = await operations.find(bus, "op-1")
    assert (found.lost, found.error) == (1, b"")
    assert not await operations.take(bus, "op-1", "c", 60_000)
    found = await operations.find(bus, "op-1")
    assert (found.lost, found.error) == (2, operations.LOST)
    assert await operations.due(bus) == []
    assert (await operations.count(bus)).failing == 1
    first = int(await bus.command("ZSCORE", bus.keys.operations(), "op-1"))
    assert await operations.take(bus, "op-1", "c", 1)  # when its time has come
    assert await until_due(bus) == ["op-1"]
    assert not await operations.take(bus, "op-1", "d", 60_000)
    assert int(await bus.command("ZSCORE", bus.keys.operations(), "op-1")) > first + 9_000  # twice as long
    assert await operations.take(bus, "op-1", "d", 60_000)
    assert await operations.write(bus, "op-1", "d", "later", 0, {"tries": 0, "error": b""})
    found = await operations.find(bus, "op-1")
    assert (found.lost, found.error) == (0, b"")
    assert (await operations.count(bus)).failing == 0


async def test_what_is_under_its_key_and_none_of_ours_holds_up_no_other(bus):
    await begun(bus, "op-2")
    await bus.command("SET", bus.keys.operation("op-1"), "somebody else's")
    await bus.command("ZADD", bus.keys.operations(), 1, "op-1")
    assert not await operations.take(bus, "op-1", "a", 60_000)
    assert await operations.due(bus) == ["op-2"]


async def test_a_holder_without_a_time_limit_is_none(bus):
    await begun(bus)
    await bus.command("HSET", bus.keys.operation("op-1"), "holder", "half")
    assert await operations.take(bus, "op-1", "a", 60_000)


async def test_they_are_counted(bus):
    assert await operations.count(bus) == operations.Counts(0, 0, 0)
    for number in range(3):
        await begun(bus, f"op-{number}")
    await operations.take(bus, "op-1", "a", 60_000)
    await operations.write(bus, "op-1", "a", "later", 60_000, {"tries": 1})
    assert await operations.count(bus) == operations.Counts(3, 2, 1)
    await operations.take(bus, "op-1", "b", 60_000)
    await operations.write(bus, "op-1", "b", "done", 60_000, {})
    assert await operations.count(bus) == operations.Counts(2, 2, 0)
