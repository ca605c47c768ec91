"""What comes for an HTTP/2 stream that has ended here does not end its connection, with all its other streams.

A client may go on sending its request after it has the whole answer. Hypercorn 0.18 has forgotten the stream by then, and a KeyError ends the
connection (pgjones/hypercorn issue 329, pull requests 312 and 334). It does so, too, for a method or a path that is no ASCII, and for one without a path.
"""

from functools import wraps
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def outlive_gone_streams() -> None:
    """Teaches Hypercorn so. May be called again."""
    from h2.errors import ErrorCodes  # noqa: PLC0415 - as where it is served
    from h2.events import DataReceived, RequestReceived  # noqa: PLC0415 - as above
    from hypercorn.protocol.h2 import H2Protocol  # noqa: PLC0415 - as above

    protocol = cast("Any", H2Protocol)
    handles: Callable[[Any, list[Any]], Awaitable[None]] = protocol._handle_events  # noqa: SLF001 - there is no other way in
    if hasattr(handles, "__wrapped__"):
        return

    @wraps(handles)
    async def outlives(self: Any, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # Its room in the connection's window is given back, or the other streams would run out of it.
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                await handles(self, [])
            elif isinstance(event, RequestReceived) and not _names_something(event):
                self.connection.reset_stream(event.stream_id, ErrorCodes.PROTOCOL_ERROR)
                await handles(self, [])
            else:
                await handles(self, [event])

    protocol._handle_events = outlives  # noqa: SLF001 - as above


def _names_something(event: Any) -> bool:
    pseudo = dict(event.headers)
    return bool(pseudo.get(b":path")) and pseudo[b":path"].isascii() and pseudo[b":method"].isascii()
