"""The requests that a server has under way, so that it can break them off when it has to end.

Hypercorn 0.18 cancels whole connections for that. One of HTTP/2 then fails ("TaskGroup … is shutting down"), and with it the server. A request that is
cancelled here ends by the usual ways: one that was not answered yet is with 500, an answer that had begun is broken off so that its client sees it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class UnderWay:
    """ASGI middleware: the app that it wraps, whose requests can be broken off."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request; everything else passes."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        if self._over.is_set():
            return
        self._tasks.add(task)
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self._over.is_set():
                raise
            task.uncancel()
        finally:
            self._tasks.discard(task)

    def break_off(self) -> None:
        """Cancels all of them; none begins any more."""
        self._over.set()
        for task in tuple(self._tasks):
            task.cancel()
