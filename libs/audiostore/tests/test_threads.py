import asyncio
import threading

import pytest

from audiostore.errors import StoreError, TransientStoreError
from audiostore.threads import Threads


async def test_results_and_errors_come_back():
    threads = Threads("t", 2, 5)
    assert await threads.run("adding", sum, [1, 2]) == 3

    def fail():
        raise StoreError("no")

    with pytest.raises(StoreError, match="no"):
        await threads.run("failing", fail)
    await threads.close()


async def test_a_timeout_of_the_call_itself_is_its_own():
    threads = Threads("t", 1, 5)

    def fail():
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await threads.run("failing", fail)
    await threads.close()


async def test_nobody_waits_longer_than_the_deadline_and_what_waits_never_runs():
    threads = Threads("t", 1, 0.05)
    release, ran = threading.Event(), threading.Event()
    first = asyncio.ensure_future(threads.run("put a", release.wait, 10))
    second = asyncio.ensure_future(threads.run("put b", ran.set))
    with pytest.raises(TransientStoreError, match=r"put a: not done after 0\.05 s"):
        await first
    with pytest.raises(TransientStoreError):
        await second
    release.set()
    await threads.close()
    assert not ran.is_set()


async def test_close_waits_for_what_runs():
    threads = Threads("t", 1, 5)
    begun, release, done = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        release.wait(10)
        done.set()

    task = asyncio.ensure_future(threads.run("working", work))
    await asyncio.to_thread(begun.wait, 10)
    closing = asyncio.ensure_future(threads.close())
    release.set()
    await closing
    assert done.is_set()
    await task
