"""Two pools: what takes long never stands before what does not."""

import asyncio
import os
import threading

import pytest

from storage_api.workers import SHORT_THREADS, Workers


@pytest.fixture
def workers():
    made = Workers()
    yield made
    made.close()


async def test_what_is_short_waits_for_nothing_long(workers):
    gate = threading.Event()
    long = [asyncio.create_task(workers.run_long(gate.wait, 30)) for _ in range(3 * (os.cpu_count() or 1))]
    try:
        assert await workers.run(divmod, 7, 2) == (3, 1)
    finally:
        gate.set()
    assert await asyncio.gather(*long) == [True] * len(long)


async def test_so_many_run_at_once(workers):
    together = threading.Barrier(SHORT_THREADS)
    await asyncio.gather(*(workers.run(together.wait, 30) for _ in range(SHORT_THREADS)))
    cores = threading.Barrier(os.cpu_count() or 1)
    await asyncio.gather(*(workers.run_long(cores.wait, 30) for _ in range(os.cpu_count() or 1)))


async def test_what_is_done_here_leaves_others_a_turn_each_time_and_keeps_its_order(workers):
    done, turns = [], 0

    async def others():
        nonlocal turns
        while len(done) < 5:
            turns += 1
            await asyncio.sleep(0)

    def note(number):
        done.append((number, threading.current_thread() is threading.main_thread()))

    looking = asyncio.create_task(others())
    await asyncio.gather(*(workers.run_here(note, number) for number in range(5)))
    await looking
    assert done == [(number, True) for number in range(5)]
    assert turns >= 5


@pytest.mark.parametrize("how", ["run", "run_here", "run_long"])
async def test_what_it_raises_is_raised(workers, how):
    with pytest.raises(ZeroDivisionError):
        await getattr(workers, how)(divmod, 1, 0)
