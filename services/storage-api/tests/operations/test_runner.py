"""The runner: what is due is carried out, also where a process left it behind."""

import asyncio

import msgspec
import pytest

from audiobus import operations
from audiobus.errors import BusContractError, BusUnavailableError
from audiostore.errors import TransientStoreError
from storage_api.operations.runner import Runner
from storage_api.operations.turn import FailedError, LaterError, LeaseLostError, Trouble, Turn
from storage_api.wire_operations import operation as to_wire


class Count(msgspec.Struct):
    n: int


@pytest.fixture
async def begun(one_bus):
    assert await operations.begin(one_bus, "op-1", "count", "user-1", b"{}")


async def turn(runner) -> bool:
    """One turn at whatever is due; whether anything was."""
    taken = await runner.take_due()
    await asyncio.gather(*(runner.carry_out(one) for one in taken))
    return bool(taken)


async def found(bus):
    return await operations.find(bus, "op-1")


async def make_due(bus) -> None:
    await bus.command("ZADD", bus.keys.operations(), 0, "op-1")


async def test_what_is_done_says_its_result(one_bus, begun):
    async def count(turn):
        await turn.save(Count(1), Count(2))
        return Count(3)

    runner = Runner(one_bus, {"count": count})
    assert await turn(runner)
    assert not await turn(runner)
    written = await found(one_bus)
    assert (written.done, written.step, to_wire(written).result) == (True, b'{"n":1}', {"n": 3})


async def test_it_runs_by_itself(one_bus, begun, until):
    done = asyncio.Event()

    async def count(turn):
        done.set()
        return Count(1)

    running = asyncio.create_task(Runner(one_bus, {"count": count}, every_s=0.01).run())
    async with asyncio.timeout(60):
        await done.wait()
        while not (await found(one_bus)).done:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])


async def test_what_is_begun_here_does_not_wait_for_the_next_look(one_bus):
    done, woken = asyncio.Queue(), asyncio.Event()

    async def count(turn):
        await done.put(turn.operation.id)
        return Count(1)

    running = asyncio.create_task(Runner(one_bus, {"count": count}, begun=woken, every_s=3600).run())
    async with asyncio.timeout(60):
        for operation_id in ("op-1", "op-2"):
            await operations.begin(one_bus, operation_id, "count", "user-1", b"{}")
            woken.set()
            assert await done.get() == operation_id
    running.cancel()
    await asyncio.wait([running])


async def test_a_process_that_ends_leaves_it_to_another_at_its_last_step(one_bus, begun):
    saved = asyncio.Event()

    async def hangs(turn):
        await turn.save(Count(7), Count(1))
        saved.set()
        await asyncio.Event().wait()

    async def goes_on(turn):
        return msgspec.json.decode(turn.operation.step, type=Count)

    running = asyncio.create_task(Runner(one_bus, {"count": hangs}).run())
    await saved.wait()
    running.cancel()
    await asyncio.wait([running])
    assert await turn(Runner(one_bus, {"count": goes_on}))
    assert (await found(one_bus)).result == b'{"n":7}'


async def test_one_that_was_killed_is_gone_on_with_once_its_lease_ends(one_bus, begun):
    async def count(turn):
        return Count(5)

    assert await operations.take(one_bus, "op-1", "killed", 60_000)
    runner = Runner(one_bus, {"count": count})
    assert not await turn(runner)
    assert await operations.take(one_bus, "op-1", "killed", 50)
    async with asyncio.timeout(60):
        while not await turn(runner):
            await asyncio.sleep(0.02)
    assert (await found(one_bus)).result == b'{"n":5}'


async def test_the_lease_is_held_as_long_as_it_takes(one_bus, begun):
    go = asyncio.Event()

    async def slow(turn):
        await go.wait()
        return Count(1)

    runner = Runner(one_bus, {"count": slow}, lease_ms=1_500)
    working = asyncio.create_task(turn(runner))
    ends: set[bytes | None] = set()
    async with asyncio.timeout(60):
        while len(ends - {None}) < 4:  # beyond the lease that it began with
            ends.add(await one_bus.command("HGET", one_bus.keys.operation("op-1"), "until"))
            await asyncio.sleep(0.01)
    assert not await turn(Runner(one_bus, {"count": slow}))
    go.set()
    assert await working
    assert (await found(one_bus)).done


async def test_who_lost_the_lease_leaves_off(one_bus, begun):
    ended = asyncio.Event()

    async def hangs(turn):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    working = asyncio.create_task(turn(Runner(one_bus, {"count": hangs}, lease_ms=150)))
    async with asyncio.timeout(60):
        while not await one_bus.command("HEXISTS", one_bus.keys.operation("op-1"), "holder"):
            await asyncio.sleep(0.005)
        await one_bus.command("HSET", one_bus.keys.operation("op-1"), "holder", "another")
        await working
    assert ended.is_set()
    assert not (await found(one_bus)).done


async def test_a_save_without_the_lease_is_refused(one_bus, begun):
    refused = []

    async def count(turn):
        await one_bus.command("HSET", one_bus.keys.operation("op-1"), "holder", "another")
        try:
            await turn.save(Count(1), Count(1))
        except LeaseLostError:
            refused.append(True)
            raise

    await turn(Runner(one_bus, {"count": count}))
    assert refused
    assert (await found(one_bus)).step == b""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BusUnavailableError("away"), "live_unavailable"),
        (TransientStoreError("away"), "store_unavailable"),
        (RuntimeError("a defect"), "internal"),
    ],
)
async def test_what_went_wrong_is_told_and_tried_again(one_bus, begun, error, code):
    fails = [error, error]

    async def count(turn):
        if fails:
            raise fails.pop()
        return Count(1)

    runner = Runner(one_bus, {"count": count})
    for tries in (1, 2):
        assert await turn(runner)
        written = await found(one_bus)
        assert (written.tries, to_wire(written).error.code, written.done) == (tries, code, False)
        assert not await turn(runner)  # after a pause
        await make_due(one_bus)
    assert await turn(runner)
    written = await found(one_bus)
    assert (written.done, written.error) == (True, b"")


@pytest.mark.parametrize("when", ["by an error of Redis", "by what cannot be written", "by a defect"])
async def test_an_exception_at_its_end_ends_no_service_and_it_is_done_at_the_next_try(
    one_bus, begun, monkeypatch, when, until
):
    class Ghost(msgspec.Struct):
        what: object

    finish = Turn.finish
    breaks = [True]

    async def broken(self, result, trouble=None):
        if breaks:
            breaks.pop()
            if when == "by an error of Redis":
                raise BusContractError("a script failed")
            if when == "by a defect":
                raise RuntimeError("a defect")
            return await finish(self, Ghost(object()), trouble)
        return await finish(self, result, trouble)

    async def count(turn):
        return Count(1)

    monkeypatch.setattr(Turn, "finish", broken)
    running = asyncio.create_task(Runner(one_bus, {"count": count}, every_s=0.01).run())
    await until(lambda: not breaks)
    async with asyncio.timeout(60):
        while not (await found(one_bus)).done and not running.done():
            await make_due(one_bus)
            await asyncio.sleep(0.01)
    assert not running.done()
    assert (await found(one_bus)).result == b'{"n":1}'
    running.cancel()
    await asyncio.wait([running])


async def test_a_kind_that_breaks_and_cannot_say_so_ends_no_service(one_bus, begun, monkeypatch):
    async def count(turn):
        raise RuntimeError("a defect")

    async def broken(*_args, **_kwargs):
        raise RuntimeError("another")

    monkeypatch.setattr(Turn, "leave", broken)
    assert await turn(Runner(one_bus, {"count": count}))


async def test_what_fails_in_part_says_so_while_it_goes_on(one_bus, begun):
    async def count(turn):
        raise LaterError(60_000, Trouble(code="store_unavailable", detail="a part of it"))

    runner = Runner(one_bus, {"count": count})
    for tries in (1, 2):
        assert await turn(runner)
        written = await found(one_bus)
        assert (written.tries, to_wire(written).error.detail) == (tries, "a part of it")
        await make_due(one_bus)


async def test_each_turn_holds_a_lease_of_its_own(one_bus, begun):
    """What an earlier turn of the same process has still under way writes nothing into the later one."""
    holders = []

    async def count(turn):
        holders.append(turn.holder)
        raise LaterError(0)

    runner = Runner(one_bus, {"count": count})
    assert await turn(runner)
    assert await turn(runner)
    assert len(set(holders)) == 2


async def test_what_was_taken_is_carried_out_though_taking_the_next_fails(one_bus, monkeypatch):
    for number in range(3):
        await operations.begin(one_bus, f"op-{number}", "count", "user-1", b"{}")
    real = operations.take
    fails = {"op-0": BusContractError("not this one"), "op-2": BusUnavailableError("away")}

    async def take(bus, operation_id, holder, lease_ms):
        if operation_id in fails:
            raise fails[operation_id]
        return await real(bus, operation_id, holder, lease_ms)

    async def count(turn):
        return Count(1)

    monkeypatch.setattr("storage_api.operations.runner.take", take)
    runner = Runner(one_bus, {"count": count})
    assert await turn(runner)
    assert (await operations.find(one_bus, "op-1")).done
    fails.clear()
    assert await turn(runner)
    assert (await operations.count(one_bus)).undone == 0


async def test_one_whose_processes_die_is_told_and_left_alone_for_a_while(one_bus, begun):
    async def count(turn):
        return Count(1)

    for number in (1, 2):
        assert await operations.take(one_bus, "op-1", f"killed-{number}", 1)
        async with asyncio.timeout(60):
            while not await operations.due(one_bus):
                await asyncio.sleep(0.005)
    runner = Runner(one_bus, {"count": count})
    assert not await turn(runner)
    written = await found(one_bus)
    assert (to_wire(written).error.code, written.done) == ("internal", False)
    await make_due(one_bus)
    assert await turn(runner)
    assert (await found(one_bus)).done


async def test_what_failed_for_good_is_not_tried_again(one_bus, begun):
    async def count(turn):
        raise FailedError("not_found", "gone")

    await turn(Runner(one_bus, {"count": count}))
    written = await found(one_bus)
    assert (written.done, to_wire(written).error.code, written.result) == (True, "not_found", b"")


async def test_what_cannot_go_on_now_waits(one_bus, begun):
    async def count(turn):
        raise LaterError(60_000)

    await turn(Runner(one_bus, {"count": count}))
    written = await found(one_bus)
    assert (written.done, written.error, written.tries) == (False, b"", 0)
    assert await operations.due(one_bus) == []


async def test_a_kind_of_another_build_is_left_alone(one_bus, begun):
    assert await turn(Runner(one_bus, {}))
    assert not (await found(one_bus)).done
    assert await operations.due(one_bus) == []
    assert await operations.take(one_bus, "op-1", "another build", 60_000)


async def test_no_more_are_taken_than_a_process_carries_out_at_once(one_bus):
    for number in range(6):
        await operations.begin(one_bus, f"op-{number}", "count", "user-1", b"{}")

    async def count(turn):
        return Count(1)

    runner = Runner(one_bus, {"count": count})
    taken = await runner.take_due()
    assert len(taken) == 4
    assert await runner.take_due() == []
    await asyncio.gather(*(runner.carry_out(one) for one in taken))
    assert len(await runner.take_due()) == 2
