"""Hypercorn as listen needs it: pings, a read time-out that finds dead peers, small messages.

Owns nothing but its configuration. Hypercorn does not show pongs, so "nothing at all for 90 s" is its read time-out, which
pongs hold off. Its own limit of a message lies above the protocol's, so that it is the session that answers a message
that is too big, with an error and 1009; only far above that Hypercorn closes by itself.
"""

import logging
from collections.abc import Awaitable, Callable
from socket import socket
from typing import Any, Final

from listen.messages import KEEPALIVE_S
from servicekit.bind import BACKLOG
from servicekit.http import KEEP_ALIVE_S, MAX_HEADER_BYTES
from servicekit.stop import Stop

SILENT_S: Final = 90
MESSAGE_BYTES: Final = 256 * 1024
QUEUE_MESSAGES: Final = 10
"""Between Hypercorn and a session that does not read; then TCP pushes back."""
GRACEFUL_S: Final = 0.5
"""The sockets have been closed before: what is left has nothing to say."""

App = Callable[[Any, Any, Any], Awaitable[None]]


async def serve_sockets(app: App, bound: socket, stop: Stop) -> None:
    """Serves the app on a bound socket until `stop`, which comes when all sessions have ended."""
    from hypercorn.asyncio import serve  # noqa: PLC0415 - 0.1 s, which a wrong setting need not wait for
    from hypercorn.config import Config  # noqa: PLC0415 - as above

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
    config.websocket_ping_interval = KEEPALIVE_S
    config.read_timeout = SILENT_S
    config.graceful_timeout = GRACEFUL_S
    # One stalled stream would block a whole HTTP/2 connection of sockets.
    config.alpn_protocols = ["http/1.1"]
    await serve(app, config, shutdown_trigger=stop.wait, mode="asgi")
