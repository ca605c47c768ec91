"""Deleting everything while a device records on, with a real pusher beside it: what came before goes, wherever it is by then, and nothing that came later."""

import asyncio
import time
from functools import partial

import msgspec
import pytest

from audiobus import Hints
from audiobus.census import exact
from pusher.cutter import Limits
from pusher.metrics import PusherMetrics
from pusher.worker import Worker
from tapedeck_testing.draining.inside import again_and_again


def draining(bus, store, conversation):
    """A pusher that looks at the conversation again and again, and stores what it finds in small batches."""
    worker = Worker(bus, Hints(bus), store, PusherMetrics(), "test", Limits(batch_ms=1_000, age_ms=60))
    return again_and_again(partial(worker.drain, conversation), 0.01)


@pytest.mark.parametrize("ahead_ms", [0, 400, 3_600_000], ids=["right", "ahead", "an hour ahead"])
async def test_what_was_appended_before_goes_and_what_came_later_stays(
    api, tape, conversation, one_bus, store, leaving, until, encode, speech, ahead_ms
):
    chunks = encode(speech[: 12 * 32_000], run_start_ms=leaving.ms, chunk_s=0.1)
    await tape.open(leaving.ms)

    async def device() -> None:
        for chunk, end in chunks:
            made_ms = time.time_ns() // 1_000_000 + ahead_ms
            await tape.append([(msgspec.structs.replace(chunk, at_ms=made_ms), end)])
            await asyncio.sleep(0.01)

    async with draining(one_bus, store, conversation):
        recording = asyncio.create_task(device())
        await until(lambda: len(tape.chunks) >= 40)
        begun = asyncio.create_task(leaving.begin(api))
        before = len(tape.chunks)
        operation_id = await begun
        after = len(tape.chunks)
        await leaving.turn(api.services, operation_id)
        await recording
        while (await one_bus.state(conversation)).waiting_samples:
            await asyncio.sleep(0.02)
        for _ in range(5):
            if not (await leaving.told(api, operation_id))["done"]:
                leaving.settle()
                await leaving.turn(api.services, operation_id)
    said = await leaving.told(api, operation_id)
    assert said["done"], said
    balance = await exact(one_bus, conversation)
    assert (balance.difference, balance.waiting) == (0, 0)
    # What came while it was asked for is either; a batch that was cut across the moment before a pusher could know is kept whole, and told.
    kept = sum(chunk.samples for chunk, _ in chunks[before:])
    least = sum(chunk.samples for chunk, _ in chunks[after:])
    assert balance.stored >= least
    if not said["result"]["kept_objects"]:
        assert balance.stored <= kept
    heard = await api.pcm(conversation, fill_gaps="false", strict="true")
    assert abs(len(heard) - balance.stored // 3) <= 1
