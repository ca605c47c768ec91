"""What follows a try that failed, above all where nobody foresaw it: a library that breaks on an answer, a defect of ours. The rest is in `test_worker_trouble`."""

import asyncio

import pytest

from audiobus import failures
from audiobus.errors import BusUnavailableError
from audiobus.hints import Hint
from pusher.dispatch import Dispatch


class Breaks:
    """A store whose listings break as a library does on an answer that makes no sense; puts work."""

    def __init__(self, real) -> None:
        self._real = real
        self.times = 0
        self.well = False

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def list(self, *args):
        if not self.well:
            self.times += 1
            raise AttributeError("'bytes' object has no attribute 'get'")
        async for info in self._real.list(*args):
            yield info


async def test_what_nobody_foresaw_is_told_and_tried_with_growing_pauses(
    *, device, bus, memory_store, new_worker, packets_of, clock, caplog
):
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    store = Breaks(memory_store)
    worker = new_worker(store)
    delays = []
    for number in range(1, 13):
        await worker.drain(device.conversation)
        assert store.times == number
        assert (await failures.read(bus, device.conversation)).count == number
        due = float(await bus.command("ZSCORE", bus.keys.due(0), device.conversation.tag))
        delays.append(due - clock())
        # A hint that comes earlier changes nothing.
        await worker.drain(device.conversation)
        assert store.times == number
        clock.ms = int(due)
    assert 500 <= delays[0] <= 1_000
    assert delays[-1] >= 150_000
    records = [record for record in caplog.records if "could not be stored" in record.message]
    assert {record.levelname for record in records} == {"CRITICAL"}
    assert records[0].exc_info[0] is AttributeError
    store.well = True
    await worker.drain(device.conversation)
    assert await packets_of(memory_store) == device.sent
    assert (await failures.read(bus, device.conversation)).count == 0


async def test_it_delays_nobody_else(device, new_device, bus, memory_store, new_worker, packets_of, hints):
    """Followed by the dispatcher: its hint is acknowledged, and the next one goes on."""
    other = new_device(conversation="other")
    for one in (device, other):
        await one.open()
        await one.say(5)
        await bus.ask(one.conversation, "end")

    class BreaksOnce(Breaks):
        async def list(self, prefix, after=""):
            self.well = device.conversation.cid not in prefix
            async for info in super().list(prefix, after):
                yield info

    worker = new_worker(BreaksOnce(memory_store))
    followed = []

    async def done(hint):
        followed.append(hint.conversation)

    async with asyncio.TaskGroup() as tasks:
        dispatch = Dispatch(tasks, worker.drain, done, at_once=1)
        dispatch.take(Hint(0, b"1-0", device.conversation, ""))
        dispatch.take(Hint(0, b"2-0", other.conversation, ""))
    assert followed == [device.conversation, other.conversation]
    assert await packets_of(memory_store, other.conversation) == other.sent
    assert device.conversation in worker.retries


async def test_redis_that_goes_away_is_no_failure_of_the_conversation(
    device, bus, memory_store, new_worker, monkeypatch
):
    await device.open()
    await device.say(5)
    worker = new_worker(memory_store)

    async def away(*_args, **_kwargs):
        raise BusUnavailableError("gone")

    monkeypatch.setattr(type(worker._planner), "plan", away)
    with pytest.raises(BusUnavailableError):
        await worker.drain(device.conversation)
    assert device.conversation not in worker.retries


async def test_a_try_that_works_forgets_those_that_failed_though_it_had_nothing_to_store(
    device, bus, memory_store, new_worker, clock
):
    """Another pusher has stored it: `fails` would stay until something is stored again."""
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    store = Breaks(memory_store)
    worker = new_worker(store)
    await worker.drain(device.conversation)
    store.well = True
    await new_worker(memory_store).drain(device.conversation)
    await failures.note(bus, device.conversation, "noted after that", clock())
    clock.pass_s(60)
    await worker.drain(device.conversation)
    assert device.conversation not in worker.retries
    assert await failures.read(bus, device.conversation) == failures.Failures()
