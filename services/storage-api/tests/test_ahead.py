"""Begun before it is asked for: in order, within its bounds, and over at once."""

import asyncio

import pytest

from storage_api.ahead import Ahead, Fetch


class Fetches:
    """Fetches that end when they are let, and notice when they are cancelled."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes
        self.gates = [asyncio.Event() for _ in sizes]
        self.begun: list[int] = []
        self.cancelled: list[int] = []

    def __iter__(self):
        return (Fetch(self.fetch(number), size) for number, size in enumerate(self.sizes))

    def fetch(self, number: int):
        async def run() -> int:
            self.begun.append(number)
            try:
                await self.gates[number].wait()
            except asyncio.CancelledError:
                self.cancelled.append(number)
                raise
            return number

        return run


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_in_their_order_however_they_end():
    fetches = Fetches(*[1] * 9)
    taken = []
    async with Ahead(fetches, 4, 100) as ahead:
        for gate in reversed(fetches.gates):
            gate.set()
        while (task := ahead.take()) is not None:
            taken.append(await task)
    assert taken == list(range(9))


@pytest.mark.parametrize(
    ("sizes", "most_bytes", "begun"), [([1] * 9, 100, 5), ([30] * 9, 100, 4), ([200] * 9, 100, 2)]
)
async def test_so_many_and_so_much_are_begun(sizes, most_bytes, begun):
    """The one that was taken, and those behind it; of what is too large one."""
    fetches = Fetches(*sizes)
    async with Ahead(fetches, 4, most_bytes) as ahead:
        first = ahead.take()
        await turns()
        assert fetches.begun == list(range(begun))
        fetches.gates[0].set()
        assert await first == 0
        assert ahead.take() is not None
        await turns()
        assert fetches.begun == list(range(begun + 1))
        fetches.gates[1].set()


async def test_leaving_cancels_what_nobody_took_and_waits_for_it():
    fetches = Fetches(*[1] * 9)
    async with Ahead(fetches, 4, 100) as ahead:
        taken = ahead.take()
        await turns()
    assert fetches.cancelled == [1, 2, 3, 4]
    fetches.gates[0].set()
    assert await taken == 0


async def test_a_failure_is_its_takers():
    async def fail() -> int:
        raise ZeroDivisionError

    fetches = Fetches(1, 1)
    async with Ahead([Fetch(fail, 1), *fetches], 4, 100) as ahead:
        with pytest.raises(ZeroDivisionError):
            await ahead.take()
    assert fetches.cancelled == fetches.begun == [0, 1]


async def test_nothing_to_fetch():
    async with Ahead([], 4, 100) as ahead:
        assert ahead.take() is None
