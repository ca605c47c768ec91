"""A connection whose answer is broken off ends, also where its client had sent further requests already (RFC 9112 §9.3.2).

Hypercorn 0.18 waits for the next turn of such a connection, which never comes: task and socket stay behind for good.

To HTTP/1.0 it ends with a reset: there the end of the connection is the end of the body (RFC 9112 §8), and a broken answer would look whole.
"""

import os
import socket
import struct
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def end_with_broken_answers() -> None:
    """Teaches Hypercorn so. May be called again."""
    from h11 import DONE, ERROR, NEED_DATA, SEND_BODY, LocalProtocolError  # noqa: PLC0415 - as where it is served
    from hypercorn.protocol.h11 import H11Protocol  # noqa: PLC0415 - as above

    class Ended:
        """In place of h11's connection once it is closed: whatever comes is no request any more."""

        our_state = their_state = ERROR
        they_are_waiting_for_100_continue = False
        trailing_data = (b"", False)

        def receive_data(self, data: bytes) -> None:
            """Nobody wants it."""

        def next_event(self) -> Any:
            return NEED_DATA

        def send(self, event: Any) -> bytes:
            raise LocalProtocolError(f"the connection has ended: {type(event).__name__} is not sent")

    protocol = cast("Any", H11Protocol)
    recycles: Callable[[Any], Awaitable[None]] = protocol._maybe_recycle  # noqa: SLF001 - there is no other way in
    if hasattr(recycles, "__wrapped__"):
        return

    @wraps(recycles)
    async def ends(self: Any) -> None:
        states = self.connection.our_state, self.connection.their_state
        if states != (DONE, DONE) or self.context.terminated.is_set():
            if self.connection.our_state is SEND_BODY and self.connection.their_http_version == b"1.0":
                _reset(self.send.__self__.writer)
            self.connection = Ended()
        await recycles(self)

    protocol._maybe_recycle = ends  # noqa: SLF001 - as above


def _reset(writer: Any) -> None:
    """Closes at once, with RST in place of FIN."""
    # uvloop's own object of the socket sets no options: another handle of it does.
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as handle:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.write_eof = lambda: None  # Hypercorn would send FIN before it closes
    writer.transport.abort()
