"""What waits for replicas, on a master whose replica hangs: nothing that others rely on may count before it is there."""

import asyncio
import contextlib
import os
import signal
from unittest.mock import patch

import pytest

from audiobus import Bus, Cut, CutStands, EntryId, Writer, pipeline
from audiobus.deletions import drop_cut, expunge, gone
from audiobus.errors import NotReplicatedError
from tapedeck_testing.redis_binary import any_server, bundled
from tapedeck_testing.replica_pair import replica_pair


@pytest.fixture(scope="module", params=[any_server, bundled], ids=["newest", "bundled"])
def pair(request, tmp_path_factory):
    """A master and a replica that follows it."""
    with replica_pair(request.param(), tmp_path_factory.mktemp("pair")) as both:
        yield both


@contextlib.contextmanager
def hanging(process):
    """While inside, it does nothing, and nobody has much patience with it."""
    os.kill(process.process.pid, signal.SIGSTOP)
    try:
        with patch.object(pipeline, "WAIT_MS", 100):
            yield
    finally:
        os.kill(process.process.pid, signal.SIGCONT)


@pytest.fixture
async def waiting(pair, monkeypatch):
    """A bus that waits for the replica, and patiently: a busy disk may hold that up."""
    monkeypatch.setattr(pipeline, "WAIT_MS", 4000)
    async with Bus(pair[0].url, wait_replicas=1) as bus:
        await bus.command("FLUSHALL")
        yield bus


async def test_a_chunk_that_is_found_to_be_there_is_not_yet_with_the_replica(pair, waiting, recorder_on):
    """Its first try was not confirmed; the second, on another connection, changes nothing, and must not count for that."""
    recorder = recorder_on(waiting)
    await recorder.open()
    with hanging(pair[1]):
        for _ in range(2):
            async with Bus(pair[0].url, wait_replicas=1) as another, asyncio.TaskGroup() as tasks:
                writer = Writer(another)
                tasks.create_task(writer.run())
                with pytest.raises(NotReplicatedError):
                    await writer.append(recorder.request(100))
                writer.close()
    assert [entry.id.offset for entry in await waiting.read(recorder.conversation, count=9)] == [0, 100]


async def test_what_open_answers_to_be_there_is(pair, waiting, recorder_on):
    recorder = recorder_on(waiting)
    await recorder.open()
    with hanging(pair[1]):
        async with Bus(pair[0].url) as careless:
            recorder.bus = careless
            await recorder.append(100)
        late = recorder_on(waiting)
        with pytest.raises(NotReplicatedError):
            await late.open(resume=recorder.newest.epoch)
    opened = await late.open(resume=recorder.newest.epoch)
    assert (opened.resumed, opened.offset) == (True, 100)


NAME = "chunks/u/c/1.000-2.000.batch.bin"


def cut_up_to(newest: EntryId) -> Cut:
    return Cut(1, str(EntryId(newest.epoch, 0)), str(newest), NAME, "standard", "idle")


async def test_a_cut_that_stands_already_is_not_yet_with_the_replica(
    pair, waiting, recorder_on, conversation
):
    recorder = recorder_on(waiting)
    await recorder.open()
    await recorder.append(100)
    cut = cut_up_to(recorder.newest)
    with hanging(pair[1]):
        for _ in range(2):
            async with Bus(pair[0].url, wait_replicas=1) as another:
                with pytest.raises(NotReplicatedError):
                    await another.cut(conversation, cut, settled=None)
    assert await waiting.cut(conversation, cut, settled=None) == CutStands()


async def test_nothing_is_deleted_for_a_cut_that_only_a_former_master_gave_up(
    pair, waiting, recorder_on, conversation
):
    """It may be settled on the other one: whoever looks at the names there, to delete the object, must be told so as well."""
    recorder = recorder_on(waiting)
    await recorder.open()
    await recorder.append(100)
    cut = cut_up_to(recorder.newest)
    assert await waiting.cut(conversation, cut, settled=None) == CutStands()
    with hanging(pair[1]):
        with pytest.raises(NotReplicatedError):
            await drop_cut(waiting, conversation, cut.encode(), NAME, 1)
        with pytest.raises(NotReplicatedError):
            await gone(waiting, conversation, confirmed=True)
        assert await gone(waiting, conversation) == {NAME: 1}
    assert await gone(waiting, conversation, confirmed=True) == {NAME: 1}


async def test_nor_for_one_over_what_its_user_deleted(pair, waiting, recorder_on, conversation):
    recorder = recorder_on(waiting)
    await recorder.open()
    await recorder.append(100)
    cut = cut_up_to(recorder.newest)
    assert await waiting.cut(conversation, cut, settled=None) == CutStands()
    what = {"cut": cut.encode(), "name": NAME, "preroll": False, "now_ms": 1}
    with hanging(pair[1]), pytest.raises(NotReplicatedError):
        await expunge(waiting, conversation, {recorder.newest: 4_800}, **what)


async def test_a_burial_counts_once_the_replica_has_it(pair, waiting, recorder_on, conversation):
    """What comes next is cut as if the entry were gone."""
    recorder = recorder_on(waiting)
    await recorder.open()
    await recorder.append(100)
    [_, entry] = await waiting.read(conversation, count=9)
    how = {"reason": "unknown", "first_offset": 0, "samples": 4_800, "now_ms": 1}
    with hanging(pair[1]), pytest.raises(NotReplicatedError):
        await waiting.bury(conversation, entry, **how)
    assert not await waiting.bury(conversation, entry, **how)  # it is buried
    assert await waiting.command("HLEN", waiting.keys.dead(conversation)) == 1
