"""A merge of what is just being recorded, with real pushers beside it: all that was acked is in the target, and nothing is put into the source later."""

import asyncio
import contextlib

import pytest

from audiobus import Conversation, Hints
from audiobus.census import exact
from audiobus.errors import ConversationDeletedError, MergedError, MergingError
from pusher.cutter import Limits
from pusher.metrics import PusherMetrics
from pusher.sweeper import UNTIL_MS
from pusher.worker import Worker

T0 = 1_700_000_000_000
A, ALL = Conversation("user-1", "a"), Conversation("user-1", "all")


def worker_over(bus, store, **given) -> Worker:
    return Worker(bus, Hints(bus), store, PusherMetrics(), "test", Limits(), **given)


@pytest.fixture
def draining(one_bus, store):
    """A pusher that looks at these conversations again and again."""

    @contextlib.asynccontextmanager
    async def run(*conversations):
        worker = worker_over(one_bus, store)

        async def drain() -> None:
            while True:
                for one in conversations:
                    await worker.drain(one)
                await asyncio.sleep(0.01)

        task = asyncio.create_task(drain())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return run


async def test_a_live_source_goes_into_a_live_target(
    api, merging, tape_for, draining, one_bus, store, encode, pcm_tone, speech
):
    tape, other = tape_for(A), tape_for(ALL)
    await tape.open(T0)
    await other.record(pcm_tone(2.0), start_ms=T0 + 60_000)
    chunks, refused = encode(speech[: 20 * 32_000], run_start_ms=T0), []

    async def device() -> None:
        for one in chunks:
            try:
                await tape.append([one])
            except MergingError:
                refused.append(one)
                return
            await asyncio.sleep(0.01)

    async with draining(A, ALL):
        recording = asyncio.create_task(device())
        while len(tape.chunks) < 3:
            await asyncio.sleep(0.005)
        operation = await merging.run(["a"], "all")
        while not operation.done:
            operation = await merging.turn("merge-1")
        assert not operation.error, operation.error
        await recording
    assert refused
    acked = sum(chunk.samples for chunk, _ in tape.chunks)
    heard = await api.pcm(ALL, fill_gaps="false", strict="true")
    assert len(heard) == acked // 3 + 2 * 16_000
    assert (await exact(one_bus, ALL)).difference == (await exact(one_bus, A)).difference == 0
    # Whatever comes later: the source stays empty.
    ahead = worker_over(one_bus, store, now_ms=lambda: T0 + 100 * UNTIL_MS)
    await ahead.drain(A)
    assert await merging.files("a") == {}
    with pytest.raises((MergedError, ConversationDeletedError)):
        await tape.open(T0 + 120_000, resume=tape.epoch)


async def test_openings_without_audio_are_in_nobodys_way(merging, tape_for, draining):
    tape = tape_for(A)
    await tape.open(T0)
    await tape.open(T0 + 1000)
    async with draining(A):
        operation = await merging.run(["a"], "all")
    assert operation.done
    assert not operation.error, operation.error


async def test_what_waits_when_it_is_thawed_is_stored_where_it_was(
    merging, tape_for, one_bus, store, pcm_tone, monkeypatch
):
    monkeypatch.setattr("storage_api.merging.draining.TURN_S", 0.05)
    tape = tape_for(A)
    await tape.record(pcm_tone(2.0))
    begun = await merging.begin(["a"], "all")
    await merging.turn(begun)
    assert (await merging.turn(begun, limit_ms=-1)).error
    await worker_over(one_bus, store).drain(A)
    assert len(await merging.files("a")) == 1
    assert await merging.files("all") == {}
    assert (await exact(one_bus, A)).stored == 96_000
