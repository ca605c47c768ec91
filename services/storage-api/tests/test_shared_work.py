import asyncio

import pytest

from servicekit.ending import CANCEL_AGAIN_S, see_out
from storage_api.shared_work import SharedWork


class Work:
    """Counts how often it is begun and broken off; ends when it may."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = self.broken_off = 0
        self.may_end = asyncio.Event()
        self.error = error

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        if self.error:
            raise self.error
        return number


async def asked(shared, work, times, key="a") -> list[asyncio.Task]:
    tasks = [asyncio.create_task(shared.of(key, work)) for _ in range(times)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_who_asks_meanwhile_shares_it_and_who_asks_later_does_not():
    shared, work = SharedWork(), Work()
    tasks = await asked(shared, work, 3)
    work.may_end.set()
    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert await shared.of("a", work) == 2
    assert not shared._under_way


async def test_other_work_is_not_shared():
    shared, work = SharedWork(), Work()
    tasks = await asked(shared, work, 1, "a") + await asked(shared, work, 1, "b")
    work.may_end.set()
    assert await asyncio.gather(*tasks) == [1, 2]


async def test_all_hear_of_an_error():
    shared, work = SharedWork(), Work(ValueError("broken"))
    tasks = await asked(shared, work, 2)
    work.may_end.set()
    for task in tasks:
        with pytest.raises(ValueError, match="broken"):
            await task
    assert not shared._under_way


@pytest.mark.parametrize("leaves", [0, 1])
async def test_whoever_leaves_does_not_end_it_for_the_other(leaves):
    shared, work = SharedWork(), Work()
    tasks = await asked(shared, work, 2)
    tasks[leaves].cancel()
    await asyncio.wait([tasks[leaves]])
    work.may_end.set()
    assert await tasks[1 - leaves] == 1
    assert (work.begun, work.broken_off) == (1, 0)


async def test_it_ends_with_the_last_one_and_begins_anew():
    shared, work = SharedWork(), Work()
    tasks = await asked(shared, work, 2)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert (work.begun, work.broken_off) == (1, 1)
    work.may_end.set()
    assert await shared.of("a", work) == 2
    assert not shared._under_way


async def test_whoever_leaves_last_waits_until_it_has_ended_however_often_that_one_is_cancelled():
    shared, work, begun = SharedWork(), Work(), asyncio.Event()

    async def untorn() -> int:
        putting = asyncio.create_task(work())
        begun.set()
        await see_out(putting)
        return putting.result()

    (asking,) = await asked(shared, untorn, 1)
    await begun.wait()
    for _ in range(3):
        asking.cancel()
        await asyncio.sleep(0)
    assert await asyncio.wait([asking], timeout=2 * CANCEL_AGAIN_S) == (set(), {asking})
    work.may_end.set()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert (work.begun, work.broken_off) == (1, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
