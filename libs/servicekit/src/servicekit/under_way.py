"""The requests that a server has under way, so that it can break them off when it has to end.

Hypercorn 0.18 cancels whole connections for that. One of HTTP/2 then fails ("TaskGroup … is shutting down"), and with it the server. A request that is
cancelled here ends by the usual ways: one that was not answered yet is with 503, an answer that had begun is broken off so that its client sees it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from servicekit.problem import MEDIA_TYPE, problem_body


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
            await _refuse(send)
            return
        begun = False

        async def noted(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        self._tasks.add(task)
        try:
            await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            if not self._over.is_set():
                raise
            # Cancelled once more its connection is gone, too.
            if task.uncancel() == 0 and not begun:
                await _refuse(send)
        finally:
            self._tasks.discard(task)

    def break_off(self) -> None:
        """Cancels all of them; none begins any more."""
        self._over.set()
        for task in tuple(self._tasks):
            task.cancel()


async def _refuse(send: Callable[[Any], Awaitable[None]]) -> None:
    body = problem_body(503, "unavailable", "this server is about to end; try again")
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
