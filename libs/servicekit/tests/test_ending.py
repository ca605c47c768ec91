import asyncio

from servicekit.ending import end


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
