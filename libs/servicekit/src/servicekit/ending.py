"""Ending background tasks for certain. A cancellation can get lost, in redis-py while it connects or reads an answer, for one; and another can follow it."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

CANCEL_AGAIN_S: Final = 0.2


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels the tasks until all have ended."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def see_out(task: asyncio.Task[Any]) -> None:
    """Waits until the task has ended, however often whoever waits is cancelled meanwhile: that is raised then. What came of the task is not."""
    cancelled = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
