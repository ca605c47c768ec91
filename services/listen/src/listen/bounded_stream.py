"""Hypercorn's WebSocket stream with the bounds that it lacks. The only place that knows Hypercorn's inside (0.18).

What is mended, each measured before (docs/architecture.md):
- permessage-deflate was always accepted: 400 KB on the wire took 600 MB. Here no extension is.
- After a message above the limit it closed, but went on reading: an endless one took 200 MB. Here what is too long is cut
  off one byte above the limit and handed to the app, which answers; everything after it is thrown away, but for the
  client's close.
- Pongs were not looked at, and the read time-out that stood in for them cost a task a read. Here any byte counts as a sign
  of life, and one timer a socket sends the pings and ends what has been silent for too long.
"""

import asyncio
from typing import Any, Final

from hypercorn.protocol import h2, h11
from hypercorn.protocol.events import Body, Data, Event, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from hypercorn.typing import WebsocketAcceptEvent
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping

from listen.messages import KEEPALIVE_S

SILENT_S: Final = 90.0
"""A socket from which nothing at all has come for so long is ended."""


def install() -> None:
    """Makes Hypercorn use it, for WebSockets over HTTP/1.1 and HTTP/2."""
    for module in (h11, h2):
        module.WSStream = BoundedStream  # type: ignore[attr-defined]  # Hypercorn has no other way in


class BoundedStream(WSStream):
    """One WebSocket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._pinging = False
        self._refused = False
        """Too much came: of what follows only the close counts."""

    async def handle(self, event: Event) -> None:
        """Takes what the connection has read."""
        if isinstance(event, Data | Body):
            self._heard_s = self._loop.time()
        elif isinstance(event, StreamClosed) and self._timer is not None:
            self._timer.cancel()
        await super().handle(event)

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        self.handshake.extensions = None
        await super()._accept(message)
        self._timer = self._loop.call_later(KEEPALIVE_S, self._beat)

    async def _handle_events(self) -> None:
        assert self.app_put is not None  # noqa: S101 - the app was started with the handshake
        for event in self.connection.events():
            if isinstance(event, Message):
                if self._refused:
                    continue
                if event.message_finished and self._fits_whole(event):
                    whole = event.data
                    text = whole if isinstance(whole, str) else None
                    data = None if isinstance(whole, str) else bytes(whole)
                    await self.app_put({"type": "websocket.receive", "bytes": data, "text": text})
                    continue
                try:
                    self.buffer.extend(event)
                except FrameTooLargeError:
                    await self._refuse()
                    continue
                if event.message_finished:
                    message = self.buffer.to_message()
                    self.buffer.clear()
                    await self.app_put(message)
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                if self.connection.state == ConnectionState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                await self.send(StreamClosed(stream_id=self.stream_id))

    def _fits_whole(self, event: Message[Any]) -> bool:
        """Whether a message came in one piece, as nearly all do: it needs no collecting."""
        return self.buffer.value is None and len(event.data) <= self.buffer.max_length

    async def _refuse(self) -> None:
        """Hands the beginning of a message that is too long to the app, and nothing that comes after it."""
        assert self.app_put is not None  # noqa: S101 - the app was started with the handshake
        self._refused = True
        message = self.buffer.to_message()
        self.buffer.clear()
        for kind in ("bytes", "text"):
            if message[kind] is not None:
                message[kind] = message[kind][: self.buffer.max_length + 1]
        await self.app_put(message)

    def _beat(self) -> None:
        """Sends a ping, or gives up; and comes again."""
        if self.closed:
            return
        silent_s = self._loop.time() - self._heard_s
        if silent_s >= SILENT_S:
            self.task_group.spawn(self.send, StreamClosed(stream_id=self.stream_id))
            return
        if not self._pinging:
            self.task_group.spawn(self._ping)
        self._timer = self._loop.call_later(min(KEEPALIVE_S, SILENT_S - silent_s), self._beat)

    async def _ping(self) -> None:
        self._pinging = True
        try:
            await self._send_wsproto_event(Ping())
        finally:
            self._pinging = False
