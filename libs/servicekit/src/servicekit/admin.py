"""The admin port: `/livez`, `/readyz`, `/metrics`. Every service has one, on an address that the public cannot reach.

A bare ASGI app: three fixed answers need no framework, and a service that has only this starts a tenth of a second sooner.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from socket import socket
from typing import Any
from urllib.parse import parse_qs

from servicekit.health import Health
from servicekit.health_metrics import show_health
from servicekit.http import serving
from servicekit.metrics import CONTENT_TYPE, Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
TEXT = "text/plain; charset=utf-8"


class AdminApp:
    """The ASGI app. `/readyz` answers 200 or 503, with `?verbose` every check in text; `/livez` 200 while the loop turns."""

    def __init__(self, health: Health, metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics

    def answer(self, method: str, path: str, query: str) -> tuple[int, str, bytes]:
        """Status, content type and body of a request."""
        if method not in {"GET", "HEAD"}:
            return 405, TEXT, b"method not allowed\n"
        if path == "/livez":
            return 200, TEXT, b"ok\n"
        if path == "/metrics":
            return 200, CONTENT_TYPE, self._metrics.render()
        if path == "/readyz":
            verbose = "verbose" in parse_qs(query, keep_blank_values=True)
            short = "ready\n" if self._health.ready else "not ready\n"
            body = self._health.text() if verbose else short
            return 200 if self._health.ready else 503, TEXT, body.encode()
        return 404, TEXT, b"not found\n"

    async def __call__(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """One request of an ASGI server; a WebSocket is refused, a lifespan is nothing to us."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        status, content_type, body = self.answer(
            scope["method"], scope["path"], scope["query_string"].decode("latin-1")
        )
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serve_admin(bound: socket, health: Health, metrics: Metrics) -> AsyncIterator[None]:
    """Serve the admin app on a bound socket, and watch the event loop, while inside.

    Outermost in a service, so that health and metrics answer until everything else has ended.
    """
    show_health(health, metrics)
    async with serving(AdminApp(health, metrics), bound, graceful_s=0.5), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(metrics.watch_event_loop(), name="event loop watch")
        try:
            yield
        finally:
            watching.cancel()
