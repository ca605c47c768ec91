"""Reading hints from a real Redis: own pending ones, new ones, those of the dead."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from audiobus import Bus, Conversation, Hints
from audiobus.connection import open_client
from audiobus.keys import GROUP
from pusher.dispatch import Dispatch
from pusher.metrics import PusherMetrics
from pusher.reader import BLOCK_MS, Reader
from servicekit.stop import Stop


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """What is looked at every second or so is looked at several times a second."""
    monkeypatch.setattr("pusher.reader.BLOCK_MS", 50)
    monkeypatch.setattr("pusher.reader.PAUSE_S", 0.05)


@pytest.fixture
def reading(bus, redis_url, metrics):
    """A reader that runs while inside, with whatever `drain` it is given."""

    @asynccontextmanager
    async def run(
        drain, *, bus=bus, url=redis_url, consumer="me", lease_ms=30_000, at_once=4, lost=lambda: None
    ):
        hints, stop = Hints(bus), Stop(5)
        client = open_client(url, blocking_s=BLOCK_MS / 1000)
        try:
            async with asyncio.TaskGroup() as tasks:
                dispatch = Dispatch(tasks, drain, hints.done, at_once=at_once)
                reader = Reader(hints, client, dispatch, metrics, 0, consumer, lease_ms, lost)
                tasks.create_task(reader.run(stop))
                try:
                    yield dispatch
                finally:
                    stop.set()
                    await dispatch.close(5)
        finally:
            await client.aclose()

    return run


class Notes:
    """Drains by noting."""

    def __init__(self) -> None:
        self.drained: list[str] = []

    async def __call__(self, conversation: Conversation) -> None:
        self.drained.append(conversation.cid)

    def saw(self, *names: str):
        async def check() -> bool:
            return set(names) <= set(self.drained)

        return check


@pytest.fixture
def notes() -> Notes:
    return Notes()


def empty(bus):
    async def check() -> bool:
        return await bus.command("XLEN", bus.keys.ready(0)) == 0

    return check


async def test_new_hints_are_followed_and_leave(bus, hints, reading, notes, eventually):
    async with reading(notes):
        for number in range(10):
            await hints.ready(Conversation("u", f"c{number}"), "test")
        await eventually(notes.saw(*(f"c{number}" for number in range(10))), "all are followed")
        await eventually(empty(bus), "all have left")


async def test_hints_from_before_the_group_are_found(bus, hints, reading, notes, eventually):
    await hints.ready(Conversation("u", "early"), "test")
    async with reading(notes):
        await eventually(notes.saw("early"), "the early one is followed")


async def test_own_pending_hints_come_first_after_a_start(
    bus, hints, reading, notes, eventually, metrics: PusherMetrics
):
    await hints.make_group(0)
    await hints.ready(Conversation("u", "mine"), "test")
    assert len(await hints.take(bus.client, 0, "me", count=5, block_ms=None)) == 1
    await hints.ready(Conversation("u", "new"), "test")
    async with reading(notes):
        await eventually(notes.saw("mine", "new"), "both are followed")
        assert notes.drained == ["mine", "new"]
        await eventually(empty(bus), "both have left")
    assert metrics.claims["own"]._value.get() == 1


async def test_hints_of_a_dead_consumer_are_claimed(
    bus, hints, reading, notes, eventually, metrics: PusherMetrics
):
    await hints.make_group(0)
    await hints.ready(Conversation("u", "orphan"), "test")
    await hints.take(bus.client, 0, "the dead", count=5, block_ms=None)
    async with reading(notes, lease_ms=100):
        await eventually(notes.saw("orphan"), "the orphan is followed")
        await eventually(empty(bus), "it has left")
    assert metrics.claims["dead"]._value.get() == 1


async def test_hints_of_the_living_are_left_alone(bus, hints, reading, notes, eventually):
    await hints.make_group(0)
    await hints.ready(Conversation("u", "theirs"), "test")
    await hints.take(bus.client, 0, "the living", count=5, block_ms=None)
    async with reading(notes, lease_ms=60_000):
        await hints.ready(Conversation("u", "mine"), "test")
        await eventually(notes.saw("mine"), "mine is followed")
    assert notes.drained == ["mine"]


async def test_a_lost_group_is_made_again(bus, hints, reading, notes, eventually):
    lost = []
    async with reading(notes, lost=lambda: lost.append(True)):
        await hints.ready(Conversation("u", "before"), "test")
        await eventually(notes.saw("before"), "the first is followed")
        assert lost == [True]  # it was not there yet
        await bus.command("DEL", bus.keys.ready(0))
        await hints.ready(Conversation("u", "after"), "test")
        await eventually(notes.saw("after"), "the second is followed")
    # Whoever walks over the buffers hears of it: more may be gone.
    assert len(lost) > 1


async def test_a_failed_read_is_followed_by_ones_own_pending_hints(redis_process, reading, notes, eventually):
    """Redis is killed while hints wait to be acknowledged, and comes back with them."""
    async with Bus(redis_process.url) as bus:
        gone = asyncio.Event()

        async def drain(conversation: Conversation) -> None:
            await notes(conversation)
            if not gone.is_set():
                redis_process.kill()
                gone.set()

        async with reading(drain, bus=bus, url=redis_process.url):
            await Hints(bus).ready(Conversation("u", "c"), "test")
            await eventually(gone_is(gone), "Redis is gone")
            redis_process.start()

            async def twice() -> bool:
                return len(notes.drained) == 2

            await eventually(twice, "it is followed again")
            await eventually(empty(bus), "it has left")


def gone_is(event: asyncio.Event):
    async def check() -> bool:
        return event.is_set()

    return check


async def test_no_more_is_read_than_can_be_worked_on(bus, hints, reading, eventually):
    go = asyncio.Event()

    async def drain(conversation: Conversation) -> None:
        await go.wait()

    async with reading(drain, at_once=2) as dispatch:
        for number in range(10):
            await hints.ready(Conversation("u", f"c{number}"), "test")

        async def full() -> bool:
            return dispatch.room == 0

        await eventually(full, "it is full")
        pending = await bus.command("XPENDING", bus.keys.ready(0), GROUP)
        # redis-py gives a dictionary here.
        assert pending["pending"] == 2
        go.set()
        await eventually(empty(bus), "all have left")


async def test_a_hint_that_comes_again_and_again_is_told_of_and_followed(
    bus, hints, reading, notes, eventually, metrics, caplog
):
    """Whoever followed it before died each time; another one is only late."""
    await hints.make_group(0)
    await hints.ready(Conversation("u", "poison"), "test")
    for _ in range(4):
        await bus.command("XREADGROUP", "GROUP", GROUP, "dead", "STREAMS", bus.keys.ready(0), ">")
        await bus.command("XREADGROUP", "GROUP", GROUP, "dead", "STREAMS", bus.keys.ready(0), "0")
    await hints.ready(Conversation("u", "late"), "test")
    await bus.command("XREADGROUP", "GROUP", GROUP, "dead", "STREAMS", bus.keys.ready(0), ">")
    async with reading(notes, lease_ms=1):
        await eventually(notes.saw("poison", "late"), "both are followed")
        await eventually(empty(bus), "both have left")
    told = [record for record in caplog.records if "again and again" in record.message]
    assert [(record.conversation_id, record.deliveries >= 5) for record in told] == [("poison", True)]
    assert metrics.letters.redelivered._value.get() == 1
