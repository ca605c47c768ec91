"""What a merge holds in memory at once."""

import asyncio

from storage_api.merging.room import SMALL_AT_ONCE, SMALL_BYTES, Room


async def most_at_once(sizes: list[int]) -> int:
    room, inside, most = Room(), 0, 0

    async def hold(size: int) -> None:
        nonlocal inside, most
        async with room.of(size):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    async with asyncio.TaskGroup() as tasks:
        for size in sizes:
            tasks.create_task(hold(size))
    return most


async def test_small_ones_together_and_large_ones_one_after_another():
    assert await most_at_once([SMALL_BYTES] * 50) == SMALL_AT_ONCE
    assert await most_at_once([SMALL_BYTES + 1] * 5) == 1
