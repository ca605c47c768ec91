"""The pipeline: in order, a few ahead, and over at once."""

import asyncio
from contextlib import aclosing

import pytest

from storage_api.audio_stream import PASSAGES_AHEAD, in_order


class Jobs:
    """Jobs that end when they are let, and notice when they are cancelled."""

    def __init__(self, count: int) -> None:
        self.gates = [asyncio.Event() for _ in range(count)]
        self.begun: list[int] = []
        self.cancelled: list[int] = []

    def __iter__(self):
        return (self.job(number) for number in range(len(self.gates)))

    def job(self, number: int):
        async def run() -> int:
            self.begun.append(number)
            try:
                await self.gates[number].wait()
            except asyncio.CancelledError:
                self.cancelled.append(number)
                raise
            return number

        return run


async def test_results_come_in_order_however_they_end():
    jobs = Jobs(10)
    for gate in reversed(jobs.gates):
        gate.set()
    assert [result async for result in in_order(jobs)] == list(range(10))


async def test_only_a_few_are_under_way():
    jobs = Jobs(10)
    async with aclosing(in_order(jobs)) as results:
        for number in range(3):
            jobs.gates[number].set()
            assert await anext(results) == number
            assert len(jobs.begun) <= number + 1 + PASSAGES_AHEAD
    assert len(jobs.begun) < 10


async def test_closing_cancels_what_is_under_way_and_waits_for_it():
    jobs = Jobs(10)
    jobs.gates[0].set()
    results = in_order(jobs)
    assert await anext(results) == 0
    waiting = asyncio.create_task(anext(results))
    while len(jobs.begun) < 1 + PASSAGES_AHEAD:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert sorted(jobs.cancelled) == sorted(set(jobs.begun) - {0})


async def test_a_failure_ends_it_and_the_others():
    jobs = Jobs(3)

    async def fail() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async for _ in in_order([fail, *jobs]):
            pass
    assert sorted(jobs.cancelled) == jobs.begun


async def test_nothing_to_do():
    assert [result async for result in in_order([])] == []
