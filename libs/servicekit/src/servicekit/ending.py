"""Ending background tasks for certain. A cancellation can get lost, in redis-py while it connects or reads an answer, for one."""

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
