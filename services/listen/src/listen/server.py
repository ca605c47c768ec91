"""Hypercorn as listen needs it.

Owns its configuration and the options of the listening socket. What of Hypercorn had to be mended is `bounded_stream`'s.
"""

import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from servicekit.bind import BACKLOG
from servicekit.http import KEEP_ALIVE_S, MAX_HEADER_BYTES
from servicekit.stop import Stop

QUEUE_MESSAGES: Final = 10
"""Between Hypercorn and a session that does not read; then TCP pushes back."""
GRACEFUL_S: Final = 0.5
"""The sockets have been closed before: what is left has nothing to say."""
MESSAGE_BYTES: Final = 256 * 1024
"""What may be collected of one message. Above the protocol's limit, so that a client that errs can still close in order."""
SEND_BUFFER_BYTES: Final = 64 * 1024
"""In the kernel, for each socket: acks are small, and a client that reads none must not cost megabytes."""
UNACKNOWLEDGED_MS: Final = 90_000
"""After this the kernel gives up a peer that acknowledges nothing; its own default is a quarter of an hour."""

App = Callable[[Any, Any, Any], Awaitable[None]]


async def serve_sockets(app: App, bound: socket.socket, stop: Stop) -> None:
    """Serves the app on a bound socket until `stop`, which comes when all sessions have ended."""
    from hypercorn.asyncio import serve  # noqa: PLC0415 - 0.1 s, which a wrong setting need not wait for
    from hypercorn.config import Config  # noqa: PLC0415 - as above

    from listen.bounded_stream import install  # noqa: PLC0415 - as above

    install()
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # accepted sockets inherit both
    bound.listen(BACKLOG)
    config = Config()
    config.bind = [f"fd://{bound.detach()}"]
    config.backlog = BACKLOG
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.max_app_queue_size = QUEUE_MESSAGES
    config.websocket_max_message_size = MESSAGE_BYTES
    config.graceful_timeout = GRACEFUL_S
    await serve(app, config, shutdown_trigger=stop.wait, mode="asgi")
