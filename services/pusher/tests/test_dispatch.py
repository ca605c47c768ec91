"""Which conversations are worked on at once, and what happens to their hints."""

import asyncio

import pytest

from audiobus import Conversation, Hint
from audiobus.errors import BusUnavailableError
from pusher.dispatch import AT_ONCE, Dispatch


def hint(number: int, conversation: str | None = "c") -> Hint:
    named = None if conversation is None else Conversation("u", conversation)
    return Hint(0, f"{number}-0".encode(), named, "test")


class Drains:
    """A worker that waits to be let through, and notes what it was asked to do."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.begun: list[str] = []
        self.done: list[bytes] = []
        self.go = asyncio.Semaphore(0)
        self.errors: list[BaseException] = []
        self.most = 0

    async def drain(self, conversation: Conversation) -> None:
        assert conversation.cid not in self.running, "twice at once"
        self.begun.append(conversation.cid)
        self.running.append(conversation.cid)
        self.most = max(self.most, len(self.running))
        try:
            await self.go.acquire()
            if self.errors:
                raise self.errors.pop(0)
        finally:
            self.running.remove(conversation.cid)

    async def acknowledge(self, hint: Hint) -> None:
        self.done.append(hint.id)

    def let(self, number: int) -> None:
        for _ in range(number):
            self.go.release()


@pytest.fixture
def drains() -> Drains:
    return Drains()


def until(condition):
    async def check() -> bool:
        return condition()

    return check


async def test_a_hint_goes_only_after_its_conversation_was_drained(drains, eventually):
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge)
        assert dispatch.take(hint(1))
        await eventually(until(lambda: drains.begun), "it begins")
        assert drains.done == []
        drains.let(1)
        await eventually(until(lambda: drains.done), "it is acknowledged")


async def test_a_conversation_is_never_worked_on_twice_at_once(drains, eventually):
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge)
        dispatch.take(hint(1))
        await eventually(until(lambda: drains.begun), "it begins")
        # Two more come while it runs: one more look is enough for both.
        dispatch.take(hint(2))
        dispatch.take(hint(3))
        drains.let(2)
        await eventually(until(lambda: len(drains.done) == 3), "all are acknowledged")
        assert drains.begun == ["c", "c"]


async def test_a_pending_hint_that_is_read_again_is_known(drains):
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge)
        assert dispatch.take(hint(1))
        assert not dispatch.take(hint(1))
        drains.let(1)
    assert drains.begun == ["c"]
    assert drains.done == [b"1-0"]


async def test_so_many_at_once_and_no_more(drains, eventually):
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge, at_once=3)
        for number in range(7):
            dispatch.take(hint(number, f"c{number}"))
        assert dispatch.room == 0
        await eventually(until(lambda: len(drains.running) == 3), "three run")
        drains.let(7)
    assert drains.most == 3
    assert dispatch.room == 3
    assert len(drains.done) == 7


async def test_a_hint_at_nothing_is_acknowledged(drains):
    async with asyncio.TaskGroup() as tasks:
        Dispatch(tasks, drains.drain, drains.acknowledge).take(hint(1, None))
    assert drains.done == [b"1-0"]


@pytest.mark.parametrize("reachable", [True, False])
async def test_what_redis_does_not_answer_for_is_put_off_before_its_hint_goes(drains, reachable):
    drains.errors.append(BusUnavailableError("its master is away"))
    drains.let(1)
    order = []

    async def put_off(conversation: Conversation) -> None:
        assert drains.done == []
        order.append(conversation)
        if not reachable:
            raise BusUnavailableError("so is that of due")

    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge, put_off=put_off)
        dispatch.take(hint(1))
    assert order == [hint(1).conversation]
    assert (len(drains.done), dispatch.failures) == ((1, 0) if reachable else (0, 1))


async def test_where_redis_goes_away_the_hint_stays_and_can_be_taken_again(drains):
    drains.errors.append(BusUnavailableError("away"))
    drains.let(2)
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge)
        dispatch.take(hint(1))
    assert drains.done == []
    assert dispatch.failures == 1
    async with asyncio.TaskGroup() as tasks:
        dispatch._tasks = tasks
        assert dispatch.take(hint(1))
    assert drains.done == [b"1-0"]


async def test_a_defect_stops_nobody_else(drains, caplog):
    drains.errors.append(ZeroDivisionError())
    drains.let(2)
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge)
        dispatch.take(hint(1, "a"))
        dispatch.take(hint(2, "b"))
    assert sorted(drains.begun) == ["a", "b"]
    assert sorted(drains.done) == [b"1-0", b"2-0"]
    assert caplog.records[0].levelname == "CRITICAL"


async def test_who_hangs_lends_its_slot_and_not_more_than_half_of_them_do(drains, eventually, monkeypatch):
    monkeypatch.setattr("pusher.dispatch.HANGS_S", 0.01)
    ends = asyncio.Event()

    async def drain(conversation):
        if conversation.cid.startswith("hangs"):
            with dispatch.lending():
                await ends.wait()
        await drains.drain(conversation)

    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drain, drains.acknowledge, at_once=4)
        for number in range(4):
            dispatch.take(hint(number, f"hangs{number}"))
        await eventually(until(lambda: dispatch.room == 2), "two of the four slots are lent")
        for number in range(4, 8):
            dispatch.take(hint(number, f"good{number}"))
        await eventually(until(lambda: len(drains.running) == 2), "two others run")
        drains.let(2)
        await eventually(until(lambda: len(drains.done) == 2), "they are done, and the next two run")
        await eventually(until(lambda: len(drains.running) == 2), "the next two run")
        # Those that hung go on: as many run as there are slots, and what was lent is given back.
        ends.set()
        await eventually(until(lambda: len(drains.running) == 6), "all are in their drains")
        for number in range(8, 16):
            dispatch.take(hint(number, f"later{number}"))
        drains.let(6)
        await eventually(until(lambda: len(drains.running) == 4), "four at once again")
        assert drains.running == [f"later{number}" for number in range(8, 12)]
        drains.let(8)
    assert len(drains.done) == 16
    assert dispatch.room == 4


async def test_who_waits_shortly_lends_nothing(drains):
    drains.let(1)

    async def drain(conversation):
        with dispatch.lending():
            await drains.drain(conversation)
        assert dispatch.room == 1

    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drain, drains.acknowledge, at_once=2)
        dispatch.take(hint(1))
    assert dispatch.room == 2


async def test_a_stray_cancel_leaves_the_conversation_to_the_next_hint(drains):
    """A library may lose track of whose cancel it is."""
    drains.errors.append(asyncio.CancelledError())
    drains.let(3)
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge)
        dispatch.take(hint(1, "a"))
        await asyncio.wait(dispatch._running)
        assert dispatch.failures == 1
        assert dispatch.room == AT_ONCE
        assert dispatch.take(hint(1, "a"))  # read again, as it is pending
        assert dispatch.take(hint(2, "a"))
    assert set(drains.begun) == {"a"}
    assert sorted(drains.done) == [b"1-0", b"2-0"]


async def test_one_that_is_cancelled_before_it_begins_is_left_too(drains):
    drains.let(2)
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge)
        dispatch.take(hint(1, "a"))
        [task] = dispatch._running
        task.cancel()
        await asyncio.wait([task])
        assert drains.begun == []
        assert dispatch.failures == 1
        assert dispatch.take(hint(1, "a"))
    assert drains.done == [b"1-0"]


async def test_a_hint_that_comes_in_the_moment_in_which_a_worker_ends_begins_a_new_one(drains):
    """It must not be left pending, to be read again as if whoever followed it had failed."""
    drains.let(2)
    loop = asyncio.get_running_loop()

    async def acknowledge(one: Hint) -> None:
        await drains.acknowledge(one)
        if one.id == b"1-0":
            loop.call_soon(dispatch.take, hint(2))  # runs before what is called when the task has ended

    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, acknowledge)
        dispatch.take(hint(1))
    assert drains.done == [b"1-0", b"2-0"]
    assert drains.begun == ["c", "c"]
    assert dispatch.failures == 0


async def test_closing_lets_what_runs_end_and_begins_nothing(drains, eventually):
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge, at_once=1)
        dispatch.take(hint(1, "a"))
        dispatch.take(hint(2, "b"))
        await eventually(until(lambda: drains.begun), "one begins")
        closing = asyncio.create_task(dispatch.close(10))
        await asyncio.sleep(0)
        assert not dispatch.take(hint(3, "c"))
        drains.let(1)
        await closing
    assert drains.begun == ["a"]
    assert drains.done == [b"1-0"]


async def test_closing_has_a_deadline(drains, eventually):
    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, drains.drain, drains.acknowledge)
        dispatch.take(hint(1))
        await eventually(until(lambda: drains.running), "it runs")
        await dispatch.close(0.01)
    assert drains.running == []
    assert drains.done == []
