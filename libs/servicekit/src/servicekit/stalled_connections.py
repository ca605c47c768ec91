"""A connection that the server closes is gone soon, also where its client reads no more.

Hypercorn 0.18 waits without end until the client has taken what is still to be sent: task, socket and buffers would stay for as long as the
client likes, after an app has broken its answer off because of it. A server that ends waits less: it cuts off what is still open (`cut_off`). And what the
kernel holds for a client is bounded, so that an app soon sees that its client reads no more, and sees at once that it goes on.
"""

import asyncio
import socket
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CLOSE_S: Final = 60.0
"""That a closed connection waits for its client to take the rest, some 128 KiB at the most."""
UNSENT_BYTES: Final = 128 * 1024
"""In the kernel, beside what is on its way to the client."""

_open: WeakKeyDictionary[object, set[asyncio.WriteTransport]] = WeakKeyDictionary()
"""The connections of each server that runs, by its configuration: Hypercorn knows their tasks alone."""


def close_in_time() -> None:
    """Teaches Hypercorn so. May be called again."""
    from hypercorn.asyncio.tcp_server import TCPServer  # noqa: PLC0415 - as where it is served

    server = cast("Any", TCPServer)
    waits: Callable[[Any], Awaitable[None]] = server._close  # noqa: SLF001 - there is no other way in
    if hasattr(waits, "__wrapped__"):
        return

    @wraps(waits)
    async def closes(self: Any) -> None:
        cutting = asyncio.get_running_loop().call_later(CLOSE_S, self.writer.transport.abort)
        try:
            await waits(self)
        finally:
            cutting.cancel()

    server._close = closes  # noqa: SLF001 - as above

    runs_one: Callable[[Any], Awaitable[None]] = server.run

    @wraps(runs_one)
    async def runs(self: Any) -> None:
        of_server = _open.setdefault(self.config, set())
        of_server.add(self.writer.transport)
        try:
            await runs_one(self)
        except asyncio.CancelledError:
            # By a server that ends, and that needs no telling: Python 3.11 logs a cancelled connection as an error.
            if not self.context.terminated.is_set():
                raise
        finally:
            of_server.discard(self.writer.transport)

    server.run = runs


def cut_off(config: object) -> None:
    """Ends all connections of the server with this configuration, whatever their clients have still to take: an answer that is not whole is seen broken."""
    for transport in tuple(_open.get(config, ())):
        transport.abort()


def bound_unsent(bound: socket.socket) -> None:
    """For all connections that this listening socket accepts, where the system knows how."""
    if bound.family in {socket.AF_INET, socket.AF_INET6} and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
