"""HTTP on Hypercorn: one process, one event loop, sockets that we bound.

Owns Hypercorn's configuration and its start and stop. Must not route or answer anything. Facts about Hypercorn 0.18 that
decided what is here: with `workers` SIGTERM cuts connections, so processes are ours to supervise and share a port through
SO_REUSEPORT; an app that answers without reading a long body would leave its task and socket behind for ever (`unread`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import socket
from typing import TYPE_CHECKING, Any, Final

from servicekit.bind import BACKLOG
from servicekit.broken_streams import reset_broken_streams
from servicekit.gone_streams import outlive_gone_streams
from servicekit.header_lines import read_in_linear_time
from servicekit.no_upgrades import ignore_upgrades_to_http_2
from servicekit.pipelined_requests import end_with_broken_answers
from servicekit.stalled_connections import bound_unsent, close_in_time, cut_off
from servicekit.stop import Stop
from servicekit.under_way import UnderWay
from servicekit.unread import UnreadBodies

if TYPE_CHECKING:
    from collections.abc import Awaitable

log = logging.getLogger(__name__)

ASGIApp = Callable[[Any, Any, Any], "Awaitable[None]"]

MAX_HEADER_BYTES: Final = 32 * 1024  # request line and headers; a token may have 8 KiB of them
MAX_WEBSOCKET_MESSAGE_BYTES: Final = 64 * 1024
LAST_S: Final = 1.5
"""Of the time that ending may take, kept for what comes after the last request; a quarter of it where it is short."""
CUT_OFF_S: Final = 0.25
"""Of that, for a client that has to take the end of an answer which was cancelled; then its connection is cut off."""
KEEP_ALIVE_S: Final = 75.0  # an idle connection, or one whose request does not come to its end of headers


async def serve(
    app: ASGIApp,
    bound: socket,
    stop: Stop,
    *,
    graceful_s: float | None = None,
    keep_alive_s: float = KEEP_ALIVE_S,
) -> None:
    """Serve an ASGI app on a bound socket until `stop`; then no new connections, and those that are open get their time.

    The socket is taken over and closed at the end. Requests under way have `graceful_s` (by default what `stop` has left, but for a little), then
    they are cancelled, and soon after it their connections are cut off: of an answer that had begun the client sees no end. Idle connections are
    closed at once. Connections made after this call began to run wait in the kernel's queue and are not refused.
    """
    from hypercorn.asyncio import serve as hypercorn_serve  # noqa: PLC0415 - 0.1 s, which a wrong setting need not wait for
    from hypercorn.config import Config  # noqa: PLC0415 - as above

    read_in_linear_time()
    reset_broken_streams()
    outlive_gone_streams()
    end_with_broken_answers()
    ignore_upgrades_to_http_2()
    close_in_time()
    bound_unsent(bound)
    bound.listen(BACKLOG)
    config = Config()
    config.bind = [f"fd://{bound.detach()}"]
    config.backlog = BACKLOG
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")  # given one, Hypercorn adds no handler of its own
    config.include_server_header = False
    config.keep_alive_timeout = keep_alive_s
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.websocket_max_message_size = MAX_WEBSOCKET_MESSAGE_BYTES

    under_way = UnderWay(app)

    async def stopped() -> None:
        await stop.wait()
        remaining_s = stop.remaining_s()
        time_s = remaining_s - min(LAST_S, stop.drain_s / 4) if graceful_s is None else graceful_s
        time_s = max(0.01, min(time_s, remaining_s))
        loop = asyncio.get_running_loop()
        loop.call_later(time_s, under_way.break_off)
        loop.call_later(time_s + CUT_OFF_S, cut_off, config)
        config.graceful_timeout = time_s + 2 * CUT_OFF_S  # cancels what is left then

    await hypercorn_serve(UnreadBodies(under_way), config, shutdown_trigger=stopped, mode="asgi")  # type: ignore[arg-type]


@asynccontextmanager
async def serving(
    app: ASGIApp, bound: socket, *, graceful_s: float = 5.0, keep_alive_s: float = KEEP_ALIVE_S
) -> AsyncIterator[None]:
    """Serve while inside; leaving stops the server in order, and waits for it."""
    leaving = Stop(graceful_s)
    bound.listen(BACKLOG)  # before the task runs: whoever is told the address may connect at once
    try:
        async with asyncio.TaskGroup() as tasks:
            serving_task = serve(app, bound, leaving, graceful_s=graceful_s, keep_alive_s=keep_alive_s)
            tasks.create_task(serving_task, name="http")
            try:
                yield
            finally:
                leaving.set()
    finally:
        bound.close()  # where the server ended before it took the socket over; else there is nothing to close
