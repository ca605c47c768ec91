"""Some conversations' objects are refused for ever, those of others are stored: a quarter of an hour of both, with one pusher."""

import random

import pytest

from audiobus import Conversation
from audiostore.errors import StoreConfigurationError, TransientStoreError
from pusher import comeback

SECONDS = 600


class Refuses:
    """A bucket that takes all but some objects."""

    def __init__(self, real, error) -> None:
        self._real = real
        self._error = error

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def put(self, name, *args, **kwargs):
        if "/bad" in name:
            raise self._error
        return await self._real.put(name, *args, **kwargs)


@pytest.mark.parametrize(("bad", "most_away"), [(1, 0), (3, 60)])
@pytest.mark.parametrize("error", [StoreConfigurationError("403"), TransientStoreError("503")])
async def test_some_that_are_refused_delay_nobody_else(
    *, bad, most_away, error, new_device, bus, memory_store, new_worker, clock, hints
):
    """One alone never opens the circuit. Several may, once, until another object is stored; then they say nothing more of the bucket."""
    rng = random.Random(1)
    start = clock.ms
    devices = {}
    for name in [*(f"good{n}" for n in range(4)), *(f"bad{n}" for n in range(bad))]:
        clock.ms = start
        device = new_device(conversation=name)
        await device.open()
        await hints.due(device.conversation, start + rng.randrange(60_000))
        devices[device.conversation] = device
    good = [one for conversation, one in devices.items() if conversation.cid.startswith("good")]
    worker = new_worker(Refuses(memory_store, error))
    away, most_waiting_s = 0, 0.0
    for second in range(SECONDS):
        now_ms = start + second * 1000
        for device in devices.values():
            clock.ms = now_ms - 1000
            await device.say(1)
        clock.ms = now_ms
        if worker.buckets.back.is_set():
            worker.buckets.back.clear()
            await comeback.look_again(worker.buckets, worker.retries, hints, clock)
        due = await bus.command("ZRANGEBYSCORE", bus.keys.due(0), "-inf", now_ms)
        rng.shuffle(due)
        for tag in due:
            conversation = Conversation.from_tag(tag)
            await hints.push_due(conversation, now_ms + 30_000)
            await worker.drain(conversation)
        away += not worker.buckets.first.circuit.closed
        for one in good:
            waiting = (await bus.state(one.conversation)).waiting_samples
            most_waiting_s = max(most_waiting_s, waiting / 48_000)
    assert away <= most_away
    assert most_waiting_s <= 60 + min(most_away, 15)
