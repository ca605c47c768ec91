import asyncio

import pytest

from servicekit.ending import end, see_out


async def test_a_task_that_loses_a_cancellation_is_cancelled_again():
    lost = []

    async def deaf_once():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append(1)

    tasks = [asyncio.create_task(deaf_once()), asyncio.create_task(asyncio.Event().wait())]
    await asyncio.sleep(0)
    await end(tasks)
    assert all(task.cancelled() for task in tasks)
    assert lost


async def test_what_has_ended_is_left_alone():
    done = asyncio.create_task(asyncio.sleep(0))
    await done
    await end([done])
    await end([])


async def test_what_is_seen_out_ends_before_whoever_waits_however_often_that_is_cancelled():
    may_end = asyncio.Event()
    task = asyncio.create_task(may_end.wait())
    waits = asyncio.create_task(see_out(task))
    for _ in range(3):
        await asyncio.sleep(0)
        waits.cancel()
    await asyncio.sleep(0)
    assert not waits.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waits
    assert task.result()
    await see_out(task)
