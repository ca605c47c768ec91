"""What a device had said when its conversation was frozen comes in: its socket hears with its next append that it has to end, and brings the rest."""

import asyncio

import pytest

from audiobus import Conversation
from audiobus.census import exact
from audiobus.errors import MergingError

T0 = 1_700_000_000_000
A, ALL = Conversation("user-1", "a"), Conversation("user-1", "all")


@pytest.fixture
def frozen(one_bus):
    """Waits until it is."""

    async def wait() -> None:
        async with asyncio.timeout(10):
            while not (await one_bus.state(A)).in_merge:
                await asyncio.sleep(0.01)

    return wait


async def test_it_is_stored_and_merged(api, merging, tape_for, storing, one_bus, encode, pcm_tone, frozen):
    tape, (first, *more) = tape_for(A), encode(pcm_tone(3.0))
    await tape.open(T0)
    await tape.append([first])
    async with storing(tape):
        merge = asyncio.create_task(merging.run(["a"], "all", grace_ms=60_000))
        await frozen()
        await tape.append(more)
        await one_bus.ask(A, "end", owner=tape.owner, ends=True, newest=tape.newest)
        operation = await merge
        while not operation.done:
            operation = await merging.turn("merge-1", grace_ms=60_000)
    assert not operation.error, operation.error
    acked = sum(chunk.samples for chunk, _ in tape.chunks)
    assert (await exact(one_bus, ALL)).stored == acked
    assert len(await api.pcm(ALL, fill_gaps="false")) == acked // 3
    with pytest.raises(MergingError):
        await tape.append(more[-1:])


async def test_who_does_not_end_is_refused_when_the_time_is_over(
    merging, tape_for, storing, one_bus, encode, pcm_tone, frozen
):
    tape, chunks = tape_for(A), encode(pcm_tone(9.0))
    await tape.open(T0)
    await tape.append(chunks[:1])

    async def record_on() -> None:
        for one in chunks[1:]:
            await tape.append([one])
            await asyncio.sleep(0.3)

    async with storing(tape):
        merge = asyncio.create_task(merging.run(["a"], "all", grace_ms=1_000))
        await frozen()
        with pytest.raises(MergingError):
            await record_on()
        operation = await merge
        while not operation.done:
            operation = await merging.turn("merge-1", grace_ms=1_000)
    assert not operation.error, operation.error
    acked = sum(chunk.samples for chunk, _ in tape.chunks)
    assert (await exact(one_bus, ALL)).stored == acked
