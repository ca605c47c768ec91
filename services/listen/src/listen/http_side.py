"""HTTP on the sockets' port: a connection that asks for no WebSocket goes to Hypercorn, with what was read of it.

Owns Hypercorn's configuration and its connections' tasks. Must not route or answer anything.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from listen.handshake import HEAD_BYTES_LIMIT
from listen.metrics import ListenMetrics
from servicekit.ending import end
from servicekit.http import KEEP_ALIVE_S
from servicekit.unread import UnreadBodies

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

READ_BYTES: Final = 64 * 1024
GRACEFUL_S: Final = 0.5
"""For requests under way when the process ends: a ticket takes a few milliseconds."""


class HttpSide:
    """The HTTP connections of this process."""

    def __init__(self, app: App, *, limit: int, metrics: ListenMetrics) -> None:
        """`limit`: connections at a time; one more is closed."""
        from hypercorn.app_wrappers import ASGIWrapper  # noqa: PLC0415 - 0.1 s, which a wrong setting need not wait for
        from hypercorn.asyncio.tcp_server import TCPServer  # noqa: PLC0415 - as above
        from hypercorn.asyncio.worker_context import WorkerContext  # noqa: PLC0415 - as above
        from hypercorn.config import Config  # noqa: PLC0415 - as above

        config = Config()
        config.accesslog = None
        config.errorlog = logging.getLogger(
            "hypercorn.error"
        )  # given one, Hypercorn adds no handler of its own
        config.include_server_header = False
        config.keep_alive_timeout = KEEP_ALIVE_S
        config.h11_max_incomplete_size = HEAD_BYTES_LIMIT
        self._config = config
        self._context = WorkerContext(None)
        self._server = TCPServer
        self._app = ASGIWrapper(UnreadBodies(_Plain(app)))  # type: ignore[arg-type]  # its types want its own scopes
        self._limit = limit
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, transport: asyncio.Transport, received: bytes) -> None:
        """Takes a connection over."""
        if len(self._tasks) >= self._limit:
            self._metrics.refused["handshakes"].inc()
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=READ_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.pause_reading()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        reader.feed_data(received)
        transport.resume_reading()
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        server = self._server(self._app, loop, self._config, self._context, {}, reader, writer)
        task = asyncio.create_task(server.run(), name="http")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Ends idle connections, gives requests under way their time, and then ends them too."""
        await self._context.terminated.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACEFUL_S)
        await end(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an HTTP connection failed", exc_info=error)


class _Plain:
    """The app, one request a connection.

    A WebSocket is known by the first bytes of its connection. A proxy that keeps connections must not send one down a
    connection that had a request before, where nobody would take it.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """One request."""
        assert scope["type"] == "http"  # noqa: S101 - there is no lifespan, and the door has taken out whatever asks for more

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, send_last)
