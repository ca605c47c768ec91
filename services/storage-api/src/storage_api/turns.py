"""Long work on the event loop in short turns: whoever else has something to do comes in between. Knows nothing of what is done."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

TURN: Final = 200
"""Things of which each takes some microseconds."""
RUNNERS: Final = 64
"""Things of which each may wait for others, or take a tenth of a millisecond."""


async def in_turns(things: Sequence[T]) -> AsyncIterator[T]:
    """All of them, in order."""
    async for some in by_turns(things):
        for thing in some:
            yield thing


async def by_turns(things: Sequence[T], turn: int = TURN) -> AsyncIterator[Sequence[T]]:
    """Those of one turn after another, in order: for what takes less than to be handed over one by one."""
    for at in range(0, len(things), turn):
        if at:
            await asyncio.sleep(0)
        yield things[at : at + turn]


async def side_by_side(things: Collection[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Does the work for each of them, for RUNNERS at a time; the first error ends it."""
    left = iter(things)

    async def one_after_another() -> None:
        for thing in left:
            await work(thing)
            await asyncio.sleep(0)  # it may not have waited for anything

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(RUNNERS, len(things))):
                tasks.create_task(one_after_another())
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
