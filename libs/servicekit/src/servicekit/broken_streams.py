"""An HTTP/2 answer that its app breaks off is reset, so that the client sees it broken (RFC 9113 §5.4.2).

Hypercorn 0.18 forgets such a stream without a word to the client, which then waits for ever; over HTTP/1 it closes the connection. What was
sent of the answer may be lost with it.
"""

import asyncio
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RESET_S: Final = 10.0
"""That a reset waits behind what was sent before it. A client that does not read all the while is cut off, with all its streams."""


def reset_broken_streams() -> None:
    """Teaches Hypercorn so. May be called again."""
    from hypercorn.protocol import events, h2  # noqa: PLC0415 - as where it is served

    protocol = cast("Any", h2.H2Protocol)
    forgets: Callable[[Any, Any], Awaitable[None]] = protocol.stream_send
    if hasattr(forgets, "__wrapped__"):
        return

    @wraps(forgets)
    async def resets(self: Any, event: Any) -> None:
        if isinstance(event, events.StreamClosed):
            await _reset(self, event.stream_id)
        await forgets(self, event)

    protocol.stream_send = resets


async def _reset(protocol: Any, stream_id: int) -> None:
    """Resets a stream whose answer has begun and is not sent to its end; what the client closed is gone."""
    from h2.errors import ErrorCodes  # noqa: PLC0415 - as above
    from h2.exceptions import ProtocolError  # noqa: PLC0415 - as above
    from hypercorn.events import Closed  # noqa: PLC0415 - as above
    from hypercorn.protocol.http_stream import HTTPStream  # noqa: PLC0415 - as above

    if not isinstance(protocol.streams.get(stream_id), HTTPStream):
        return  # a WebSocket ends by its own rules (RFC 8441 §5)
    buffer = protocol.stream_buffers.get(stream_id)
    if buffer is None or buffer.complete:
        return
    with suppress(ProtocolError):  # the client has closed it: it waits for nothing
        protocol.connection.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)
    await buffer.close()
    # Hypercorn's sender finds the stream closed, and takes its buffer and its place among the others away.
    protocol.priority.unblock(stream_id)
    await protocol.has_data.set()
    try:
        async with asyncio.timeout(RESET_S):
            await protocol._flush()  # noqa: SLF001 - there is no other way out
    except TimeoutError:
        await protocol.send(Closed())  # nothing of this connection reaches its client any more
