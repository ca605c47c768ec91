import asyncio
import threading
from contextlib import suppress

import pytest

from audiostore.errors import StoreError, TransientStoreError
from audiostore.threads import Threads, under_way


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
    with pytest.raises(TransientStoreError, match=r"put a: not done after 0\.05 s") as hangs:
        await first
    with pytest.raises(TransientStoreError) as waits:
        await second
    assert (hangs.value.slow, waits.value.slow) == (True, False)
    release.set()
    await threads.close()
    assert not ran.is_set()


async def test_a_call_knows_that_its_time_is_up_before_anybody_tells_it():
    """After a pause of the whole process, its thread may go on before the event loop does."""
    threads = Threads("t", 1, 0.05)

    ended = threading.Event()

    def writes():
        while not under_way().given_up:
            pass
        ended.set()

    task = asyncio.ensure_future(threads.run("put a", writes))
    await asyncio.sleep(0)
    assert ended.wait(60)  # holds up the event loop, which could give it up
    with suppress(TransientStoreError):
        await task
    await threads.close()


async def test_close_waits_for_what_runs():
    threads = Threads("t", 1, 5)
    begun, release, done = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        release.wait(60)
        done.set()

    task = asyncio.ensure_future(threads.run("working", work))
    await asyncio.to_thread(begun.wait, 10)
    closing = asyncio.ensure_future(threads.close())
    release.set()
    await closing
    assert done.is_set()
    await task


@pytest.mark.parametrize("given_up_by", ["the deadline", "its caller"])
async def test_what_nobody_waits_for_is_broken_off_and_its_thread_is_free(given_up_by):
    threads = Threads("t", 1, 0.1 if given_up_by == "the deadline" else 60)
    begun, broken = threading.Event(), threading.Event()

    def dribbles():
        under_way().broken_off_by(broken.set)
        begun.set()
        broken.wait(60)

    task = asyncio.ensure_future(threads.run("put a", dribbles))
    await asyncio.to_thread(begun.wait, 10)
    if given_up_by == "its caller":
        task.cancel()
    with pytest.raises((TransientStoreError, asyncio.CancelledError)):
        await task
    assert await asyncio.to_thread(broken.wait, 10)
    await threads.close()


async def test_a_call_is_broken_off_at_once_where_nobody_waits_for_it_by_then():
    threads = Threads("t", 1, 0.05)
    begun, go, broken = threading.Event(), threading.Event(), threading.Event()

    def late():
        begun.set()
        go.wait(60)
        under_way().broken_off_by(broken.set)

    with pytest.raises(TransientStoreError):
        await threads.run("put a", late)
    go.set()
    assert await asyncio.to_thread(broken.wait, 10)
    await threads.close()


async def test_a_call_closes_what_it_opened_and_is_then_nobodys():
    threads = Threads("t", 1, 5)
    closed, broken, calls = [], [], []

    def opens(*, fails):
        calls.append(under_way())
        under_way().broken_off_by(lambda: broken.append(1))
        under_way().closes(lambda: closed.append(1))
        if fails:
            raise ValueError("odd")

    await threads.run("a", opens, fails=False)
    with pytest.raises(ValueError, match="odd"):
        await threads.run("b", opens, fails=True)
    assert await threads.run("c", under_way) is not None
    assert closed == [1, 1]
    for call in calls:
        call.give_up()
    assert not broken
    assert under_way() is None
    await threads.close()
