"""The loop of the simulation: virtual time, and processes that are killed, stopped and continued."""

import asyncio
import time

import pytest

from tapedeck_testing.simulation.virtual_loop import START_S, Process, StuckError, VirtualLoop


@pytest.fixture
def make_loop():
    loops = []

    def make(most_steps=1_000):
        loops.append(VirtualLoop(most_steps=most_steps, work_s=lambda: 0.5))
        return loops[-1]

    yield make
    for loop in loops:
        loop.close()


async def tell(said, every_s=1.0):
    try:
        while True:
            await asyncio.sleep(every_s)
            said.append(asyncio.get_running_loop().time() - START_S)
    finally:
        said.append("finally")
        await asyncio.sleep(0)


def test_hours_pass_at_once_and_in_order(make_loop):
    loop, said, began = make_loop(), [], time.monotonic()

    async def main():
        loop.call_later(7_200, said.append, "late")
        loop.call_later(1, said.append, "soon")
        await asyncio.sleep(10_000)
        return loop.time()

    assert loop.run_until_complete(main()) == START_S + 10_000
    assert said == ["soon", "late"]
    assert time.monotonic() - began < 60


def test_work_for_an_executor_takes_virtual_time(make_loop):
    loop = make_loop()

    async def main():
        return await asyncio.to_thread(lambda: 7), loop.time() - START_S

    assert loop.run_until_complete(main()) == (7, 0.5)


def test_nothing_of_a_killed_process_runs_again(make_loop):
    loop, said, process = make_loop(), [], Process("one")

    async def main():
        loop.spawn(process, tell(said), "telling")
        await asyncio.sleep(2.5)
        loop.kill(process)
        await asyncio.sleep(10)
        assert said == [1.0, 2.0]

    loop.run_until_complete(main())
    loop.bury([process])


def test_what_a_stopped_process_missed_comes_when_it_goes_on(make_loop):
    loop, said, process = make_loop(), [], Process("one")

    async def main():
        loop.spawn(process, tell(said), "telling")
        await asyncio.sleep(1.5)
        process.paused = True
        await asyncio.sleep(5)
        assert said == [1.0]
        loop.carry_on(process)
        await asyncio.sleep(0.2)
        assert said == [1.0, 6.5]

    loop.run_until_complete(main())
    loop.bury([process])


def test_a_child_task_belongs_to_its_process(make_loop):
    loop, said, process = make_loop(), [], Process("one")

    async def parent():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tell(said))
            tasks.create_task(tell(said, 3.0))

    async def main():
        loop.spawn(process, parent(), "parent")
        await asyncio.sleep(1.5)
        loop.kill(process)
        await asyncio.sleep(10)
        assert said == [1.0]

    loop.run_until_complete(main())
    loop.bury([process])


def test_a_world_that_cannot_come_to_rest_is_noticed(make_loop):
    async def waits():
        await asyncio.get_running_loop().create_future()

    async def turns():
        while True:
            await asyncio.sleep(0)

    for work in (waits, turns):
        loop = make_loop()
        with pytest.raises(StuckError):
            loop.run_until_complete(work())
        loop.bury([])


def test_an_error_that_nobody_takes_is_kept(make_loop):
    loop = make_loop()

    async def main():
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    loop.run_until_complete(main())
    assert "ZeroDivisionError" in loop.failures[0]
