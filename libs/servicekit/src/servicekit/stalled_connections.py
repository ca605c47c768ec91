"""A connection that the server closes is gone soon, also where its client reads no more.

Hypercorn 0.18 waits without end until the client has taken what is still to be sent: task, socket and buffers would stay for as long as the
client likes, after an app has broken its answer off because of it. And what the kernel holds for a client is bounded, so that an app soon sees
that its client reads no more, and sees at once that it goes on.
"""

import asyncio
import socket
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CLOSE_S: Final = 60.0
"""That a closed connection waits for its client to take the rest, some 128 KiB at the most."""
UNSENT_BYTES: Final = 128 * 1024
"""In the kernel, beside what is on its way to the client."""


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


def bound_unsent(bound: socket.socket) -> None:
    """For all connections that this listening socket accepts, where the system knows how."""
    if bound.family in {socket.AF_INET, socket.AF_INET6} and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
