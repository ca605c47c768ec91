import asyncio
import os
import threading

import pytest

from audiostore import gathered_reads
from audiostore.errors import NotFoundError, TransientStoreError
from audiostore.gathered_reads import MOST, THREAD_S, GatheredReads, sharing
from audiostore.threads import Call, Threads

THREADS_DEADLINE_S = 10


class Counted(Threads):
    """Counts what is handed to threads."""

    runs = 0

    async def run(self, doing, call, *args, **kwargs):
        self.runs += 1
        return await super().run(doing, call, *args, **kwargs)


def shown(name, start, end):
    if name == "gone":
        raise NotFoundError("no such object")
    if name == "odd":
        raise ValueError("what no store raises")
    return f"{name}:{start}-{end}".encode()


@pytest.fixture
async def threads():
    running = Counted("t", 4, THREADS_DEADLINE_S)
    yield running
    await running.close()


def test_what_takes_its_time_has_a_thread_of_its_own():
    assert sharing(0.0) == MOST
    assert sharing(THREAD_S / 4) == 4
    assert sharing(THREAD_S) == sharing(10.0) == 1


async def test_those_of_one_turn_share_threads_once_they_are_known_to_be_quick(threads):
    reads = GatheredReads(shown, threads)
    assert await asyncio.gather(*(reads.get("a", at, 9) for at in range(4))) == [
        b"a:0-9", b"a:1-9", b"a:2-9", b"a:3-9",
    ]  # fmt: skip
    assert threads.runs == 4
    reads._read_s = 0.0
    await asyncio.gather(*(reads.get("a", at, 9) for at in range(MOST + 1)))
    assert threads.runs == 6


async def test_a_slow_disk_has_all_threads_again(threads):
    begun, release = threading.Event(), threading.Event()

    def slowly(*_):
        begun.set()
        release.wait(10)
        return b""

    reads = GatheredReads(slowly, threads)
    reads._read_s = 0.0
    first = asyncio.create_task(reads.get("a", 0, 1))
    await asyncio.to_thread(begun.wait, 10)
    await asyncio.sleep(2 * THREAD_S)
    release.set()
    await first
    threads.runs = 0
    await asyncio.gather(*(reads.get("a", 0, 1) for _ in range(3)))
    assert threads.runs == 3


async def test_each_hears_what_became_of_its_own(threads):
    reads = GatheredReads(shown, threads)
    reads._read_s = 0.0
    found = await asyncio.gather(
        *(reads.get(name, 0, 1) for name in ("a", "gone", "odd", "b")), return_exceptions=True
    )
    assert threads.runs == 1
    assert (found[0], found[3]) == (b"a:0-1", b"b:0-1")
    assert isinstance(found[1], NotFoundError)
    assert isinstance(found[2], ValueError)


async def test_whoever_leaves_takes_nothing_from_the_others(threads):
    reads = GatheredReads(shown, threads)
    reads._read_s = 0.0
    leaving, staying = (asyncio.create_task(reads.get(name, 0, 1)) for name in "ab")
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == b"b:0-1"
    assert leaving.cancelled()


async def test_one_that_hangs_takes_none_with_it_that_shares_its_thread():
    threads, release, read = Counted("t", 2, 0.2), threading.Event(), []

    def hangs(name, *_):
        read.append(name)
        if name == "hangs":
            release.wait(10)
        return name.encode()

    reads = GatheredReads(hangs, threads)
    reads._read_s = 0.0
    before, hung, *after = [asyncio.create_task(reads.get(name, 0, 1)) for name in ("a", "hangs", "b", "c")]
    with pytest.raises(TransientStoreError, match=r"get a and 3 others: not done after 0\.2 s"):
        await hung
    assert await asyncio.gather(before, *after) == [b"a", b"b", b"c"]
    assert threads.runs == 3
    release.set()
    await threads.close()
    assert sorted(read) == ["a", "b", "c", "hangs"]


@pytest.fixture
def parted_soon(monkeypatch):
    monkeypatch.setattr(gathered_reads, "PARTED_S", 0.02)


@pytest.fixture
def folder_with_pipe(tmp_path):
    """Files a and b, and a pipe of which a read hangs until somebody writes."""
    for name in "ab":
        (tmp_path / name).write_text(name)
    os.mkfifo(tmp_path / "pipe")
    yield tmp_path
    with (tmp_path / "pipe").open("r+b", buffering=0):  # whoever still reads ends
        pass


async def test_nobody_waits_for_one_that_hangs_but_who_wants_it(threads, folder_with_pipe, parted_soon):
    reads = GatheredReads(lambda name, *_: (folder_with_pipe / name).read_bytes(), threads)
    reads._read_s = 0.0
    before, hung, after = [asyncio.create_task(reads.get(name, 0, 1)) for name in ("a", "pipe", "b")]
    async with asyncio.timeout(THREADS_DEADLINE_S / 2):
        assert await asyncio.gather(before, after) == [b"a", b"b"]
    assert not hung.done()
    assert threads.runs == 2
    reads._read_s = 0.0
    assert await asyncio.gather(*(reads.get(name, 0, 1) for name in "abab")) == [b"a", b"b"] * 2
    await asyncio.to_thread((folder_with_pipe / "pipe").write_text, "at last")
    assert await hung == b"at last"


async def test_of_what_hangs_no_second_thread_is_lost(threads, folder_with_pipe, parted_soon, monkeypatch):
    monkeypatch.setattr(gathered_reads, "HANGS_S", 0.0)
    pipe = folder_with_pipe / "pipe"
    reads = GatheredReads(lambda name, *_: (folder_with_pipe / name).read_bytes(), threads)
    hung = asyncio.create_task(reads.get("pipe", 0, 1))
    while not reads._slow:
        await asyncio.sleep(0.01)
    with pytest.raises(TransientStoreError, match="get pipe: another read of it hangs") as refused:
        await reads.get("pipe", 0, 1)
    assert refused.value.slow
    assert threads.runs == 1
    assert await reads.get("a", 0, 1) == b"a"
    await asyncio.to_thread(pipe.write_text, "at last")
    assert await hung == b"at last"
    pipe.unlink()
    pipe.write_text("a file")
    assert await reads.get("pipe", 0, 1) == b"a file"


@pytest.mark.parametrize(("left", "runs"), [([False, True], 3), ([True], 4)])
async def test_what_its_thread_left_because_its_time_was_up_is_read_again(left, runs, threads, monkeypatch):
    """As after a pause of the process, where the thread may be the first to see the time."""
    reads = GatheredReads(shown, threads)
    reads._read_s = 0.0
    given_up = iter(left)
    monkeypatch.setattr(Call, "given_up", property(lambda _call: next(given_up, False)))
    assert await asyncio.gather(*(reads.get(name, 0, 1) for name in "abc")) == [b"a:0-1", b"b:0-1", b"c:0-1"]
    assert threads.runs == runs


async def test_where_no_thread_is_free_all_are_given_up():
    threads, release = Counted("t", 1, 0.2), threading.Event()
    reads = GatheredReads(shown, threads)
    reads._read_s = 0.0
    hangs = asyncio.create_task(threads.run("hang", release.wait, 10))
    await asyncio.sleep(0)
    for read in [asyncio.create_task(reads.get(name, 0, 1)) for name in "ab"]:
        with pytest.raises(TransientStoreError):
            await read
    assert threads.runs == 2
    release.set()
    with pytest.raises(TransientStoreError):
        await hangs
    await threads.close()


async def test_whoever_asks_while_it_is_closed_has_an_answer_and_so_has_who_asks_later(threads):
    reads = GatheredReads(shown, threads)
    reading = asyncio.create_task(reads.get("a", 0, 1))
    await asyncio.sleep(0)
    await reads.close()
    await threads.close()
    assert await reading == b"a:0-1"
    with pytest.raises(RuntimeError, match="after shutdown"):
        await reads.get("a", 0, 1)


async def test_closing_waits_for_what_runs(threads):
    release = threading.Event()

    def waits(*_):
        release.wait(10)
        return b"read"

    reads = GatheredReads(waits, threads)
    reading = asyncio.create_task(reads.get("a", 0, 1))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(reads.close())
    done, _ = await asyncio.wait({closing}, timeout=0.02)
    assert not done
    release.set()
    await closing
    assert await reading == b"read"
