"""One WebSocket after its handshake: frames in, messages out, on picows' parser (`frames`).

Owns what picows leaves to us: fragments put together within a bound, reserved bits, UTF-8, close codes, pings and the end of
what is silent, how much may wait for a client that does not read, and the close handshake with its deadline. Nothing here has a
task or a timer: `sweep` comes once a second. Must not know the protocol of the messages.

picows writes to the file descriptor itself, and a descriptor may be another client's once the connection is lost: `_over` stands
before.
"""

import asyncio
import logging
import socket
from collections import deque
from typing import Any, Final, Protocol, cast

from picows import WSListener, WSMsgType, WSTransport

from listen import close_codes
from listen.floods import Floods
from listen.frames import Deaf, Frames, Line
from listen.messages import KEEPALIVE_S, MAX_MESSAGE_BYTES
from listen.reading import Reading

log = logging.getLogger(__name__)

SILENT_S: Final = 90.0
"""A socket from which nothing at all has come for so long is ended."""
LINGER_S: Final = 5.0
"""How long a client may take to answer a close."""
WRITE_BYTES_LIMIT: Final = 256 * 1024
"""What may wait for a client that does not read, beyond the kernel's buffers; it is cut off then."""
DEAF_AFTER_PINGS: Final = 2
"""So many unanswered, and a plain client is sent nothing more until it answers one."""
MESSAGE_BYTES_LIMIT: Final = MAX_MESSAGE_BYTES + 1
"""With the channel byte. The session looks closer."""

CODES_LEAST: Final = 1000
CODES_MOST: Final = 4999
CODES_RESERVED: Final = frozenset({1004, 1005, 1006, *range(1015, 3000)})
"""RFC 6455 §7.4: never on the wire, or not given out."""

_BINARY: Final = WSMsgType.BINARY
_TEXT: Final = WSMsgType.TEXT
_CONTINUATION: Final = WSMsgType.CONTINUATION
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG
_CLOSE: Final = WSMsgType.CLOSE


class Receiver(Protocol):
    """Whom the messages of a wire are for."""

    def binary(self, data: bytes) -> None:
        """A binary message."""

    def text(self, text: str) -> None:
        """A text message."""

    def failed(self, code: int, reason: str) -> None:
        """The client broke the WebSocket protocol, or we did (1011): nothing more comes. Close the wire with this code."""

    def gone(self) -> None:
        """The connection is over: the last call."""


class Wire(WSListener):
    """One WebSocket."""

    __slots__ = (
        "_broken",
        "_close_by_s",
        "_closing",
        "_direct",
        "_failure",
        "_held",
        "_kind",
        "_may_be_deaf",
        "_over",
        "_parts",
        "_paused",
        "_pinged_s",
        "_transport",
        "_unanswered",
        "_ws",
        "frames",
        "heard",
        "heard_s",
        "reading",
        "receiver",
    )

    def __init__(
        self, transport: asyncio.Transport, receiver: Receiver, now_s: float, floods: Floods
    ) -> None:
        """The wire over a connection that is not read: call `accept`, and then `resume`."""
        self.receiver = receiver
        self.heard = False
        """Whether something came since the last sweep."""
        self.heard_s = now_s
        """When something came last, as far as the sweeps know."""
        self.frames = 0
        """How many have come."""
        self.reading = Reading(transport, floods)
        self._transport = transport
        self._ws: WSTransport | None = None
        self._pinged_s = now_s
        self._close_by_s: float | None = None
        """When the close handshake must be over."""
        self._parts: bytearray | None = None
        """Of a message that comes in fragments."""
        self._kind = _BINARY
        """What that message is."""
        self._held: deque[tuple[Any, bytes]] | None = None
        """What had been read already when reading was paused."""
        self._may_be_deaf = False
        """The plain dialect: its clients need never read."""
        self._unanswered = 0
        """Pings since the last pong."""
        self._paused = True
        self._direct = False
        """Nothing stands in the way of handing over a whole message as it comes."""
        self._closing = False
        """We have sent a close: what comes is thrown away, but for the client's."""
        self._broken = False
        """What comes is thrown away."""
        self._failure: tuple[int, str] | None = None
        """What broke while nobody listened."""
        self._over = False
        """The connection is lost: its descriptor is nobody's."""

    # -- out ---------------------------------------------------------------------------------------------------------

    def accept(self, key: str, subprotocol: str | None, rest: bytes) -> None:
        """Answers the handshake, and takes what came after it."""
        if subprotocol is None:
            self._may_be_deaf = True
            let_its_window_stay_shut(self._transport)
        frames = Frames(self, subprotocol, MESSAGE_BYTES_LIMIT)
        self._transport.set_protocol(frames)
        frames.connection_made(Line(self._transport))
        self._ws = frames.transport
        frames.handshake(key)
        frames.feed(rest)

    def send(self, text: str) -> None:
        """Sends a text message; dropped where nobody can get it any more."""
        if self._over or self._closing or self._ws is None:
            return
        if self._deaf:
            return
        self._ws.send(_TEXT, text)
        self._bound()

    def close(self, code: int) -> None:
        """Sends a close, after what was sent before, and waits for the client's; not for longer than it may take."""
        if self._over or self._closing or self._ws is None:
            return
        if code == close_codes.LEFT:
            self.abort()
            return
        self._closing = True
        self._direct = False
        self._held = self._parts = None
        self._ws.send_close(cast("Any", code))
        self._close_by_s = asyncio.get_running_loop().time() + LINGER_S
        if self._transport.is_closing():
            return
        if self._broken:
            # Its own close cannot be read any more. The end of our half tells it; what it still sends is thrown away, as to
            # close with it unread would reset the connection, and our close with it.
            self._transport.write_eof()
        if self._paused or self._broken:
            self.reading.resume()

    def pause(self) -> None:
        """Stops reading: TCP pushes back."""
        if not self._paused:
            self._paused = True
            self._direct = False
            if not (self._over or self._broken or self._closing or self._transport.is_closing()):
                self.reading.pause()

    def resume(self) -> None:
        """Goes on reading, after what had been read before."""
        if not self._paused:
            return
        self._paused = False
        held = self._held
        while held and not self._paused:
            kind, payload = held.popleft()
            # it is dropped meanwhile where what was handed over broke the protocol, or let us close
            if self._held is held or (kind is _CLOSE and not self._broken):
                self._deliver(kind, payload)
        if self._paused:
            return
        self._held = None
        if self._failure is not None and not (self._over or self._closing):
            failure, self._failure = self._failure, None
            self.receiver.failed(*failure)
        elif not (self._over or self._broken or self._transport.is_closing()):
            self._direct = self._parts is None and not self._closing
            self.heard = True  # we did not listen
            self.reading.resume()

    def abort(self) -> None:
        """Cuts the client off."""
        if not self._over:
            self._transport.abort()

    def sweep(self, now_s: float) -> bool:
        """Time has passed, about a second: pings, and ends what is silent or does not close. False: it is over."""
        if self._over:
            return False
        if self.heard or self.reading.rests:
            self.heard = False
            self.heard_s = now_s
        if self._close_by_s is not None:
            if now_s >= self._close_by_s:
                self.abort()
        elif now_s - self.heard_s >= SILENT_S and not self._paused:
            self.abort()
        elif now_s - self._pinged_s >= KEEPALIVE_S and self._ws is not None:
            self._pinged_s = now_s
            self._unanswered += 1
            self._ws.send_ping()
            self._bound()
        return True

    @property
    def unsent_bytes(self) -> int:
        """What waits for the client to read it, beyond the kernel's buffers."""
        return 0 if self._over else self._transport.get_write_buffer_size()

    @property
    def over(self) -> bool:
        """Whether the connection is lost."""
        return self._over

    @property
    def _deaf(self) -> bool:
        """Whether the client seems not to read, and need not: what it is sent only fills its buffers, until it can send no more."""
        return self._may_be_deaf and (
            self._unanswered > DEAF_AFTER_PINGS or self._transport.get_write_buffer_size() > 0
        )

    # -- in ----------------------------------------------------------------------------------------------------------

    def on_ws_frame(self, _transport: WSTransport, frame: Any) -> None:
        """A frame (picows calls it)."""
        kind = frame.msg_type
        self.frames += 1
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fail(close_codes.PROTOCOL_ERROR, "a reserved bit is set, and no extension was agreed on")
        elif self._direct and kind is _BINARY and frame.fin:
            self.receiver.binary(frame.get_payload_as_bytes())
        elif not self._broken:
            self._take(kind, frame.get_payload_as_bytes(), final=bool(frame.fin))

    def fail(self, code: int, reason: str) -> None:
        """The client, or we, broke the protocol: nothing that still comes is looked at."""
        if self._broken or self._over:
            return
        self._broken = True
        self._direct = False
        self._parts = None
        if not self._transport.is_closing():
            if not self._paused:
                self.reading.pause()
            self._transport.set_protocol(Deaf(self))
        if self._closing:
            self.abort()  # it broke it in answer to a close
        elif self._paused:
            self._failure = (code, reason)  # told after what came before it
        else:
            self._held = None
            self.receiver.failed(code, reason)

    def closed_before_it_broke(self, code: int) -> None:
        """The client's close came, and something after it that cannot be parsed: picows hands out neither."""
        if not self._broken:
            self._arrived(_CLOSE, code.to_bytes(2) if code else b"")

    def lost(self) -> None:
        """The connection is over."""
        self._over = True
        self._direct = False
        self._held = self._parts = None
        self.receiver.gone()

    def pause_writing(self) -> None:
        """The client reads slower than we write: `_bound` looks at how much waits."""

    def resume_writing(self) -> None:
        """As above."""

    def _take(self, kind: WSMsgType, payload: bytes, *, final: bool) -> None:
        """A frame that is not simply a whole binary message."""
        if self._held and self._held[-1][0] is _CLOSE:
            return  # what follows a close is nothing (RFC 6455 §5.5.1)
        if kind is _CLOSE:
            self._arrived(kind, payload)
        elif self._closing:
            return
        elif kind is _PING:
            if self._ws is not None:
                self._ws.send_pong(payload)
                self._bound()
        elif kind is _PONG:
            self._unanswered = 0
        elif kind in (_BINARY, _TEXT, _CONTINUATION):
            self._assemble(kind, payload, final=final)

    def _assemble(self, kind: WSMsgType, payload: bytes, *, final: bool) -> None:
        """Puts fragments together (RFC 6455 §5.4)."""
        parts = self._parts
        if (kind is _CONTINUATION) != (parts is not None):
            self.fail(close_codes.PROTOCOL_ERROR, "fragments out of order")
        elif parts is None and final:
            self._arrived(kind, payload)
        else:
            if parts is None:
                parts = self._parts = bytearray()
                self._kind = kind
                self._direct = False
            if len(parts) + len(payload) > MESSAGE_BYTES_LIMIT:
                self.fail(close_codes.TOO_BIG, f"over {MAX_MESSAGE_BYTES} bytes")
                return
            parts += payload
            if final:
                self._parts = None
                self._direct = not self._paused
                self._arrived(self._kind, bytes(parts))

    def _arrived(self, kind: WSMsgType, payload: bytes) -> None:
        """A whole message, or a close."""
        if self._paused and not self._closing:
            if self._held is None:
                self._held = deque()
            self._held.append((kind, payload))
        else:
            self._deliver(kind, payload)

    def _deliver(self, kind: WSMsgType, payload: bytes) -> None:
        if kind is _CLOSE:
            self._closed_by_client(payload)
        elif kind is _BINARY:
            self.receiver.binary(payload)
        else:
            try:
                text = payload.decode()
            except UnicodeDecodeError:
                self.fail(close_codes.BAD_DATA, "a text message must be UTF-8")
                return
            self.receiver.text(text)

    def _closed_by_client(self, payload: bytes) -> None:
        """The client's close: answered, and the connection ended (RFC 6455 §5.5.1, §7.1.1)."""
        code = int.from_bytes(payload[:2]) if payload else CODES_LEAST
        if not CODES_LEAST <= code <= CODES_MOST or code in CODES_RESERVED:
            self.fail(close_codes.PROTOCOL_ERROR, "no close code")
            return
        if not self._closing and self._ws is not None:
            self._ws.send_close(cast("Any", code))
            self._close_by_s = asyncio.get_running_loop().time() + LINGER_S
        self._closing = self._broken = True
        self._direct = False
        self._transport.close()

    def _bound(self) -> None:
        if self._transport.get_write_buffer_size() > WRITE_BYTES_LIMIT:
            log.info("a client does not read what it is sent: it is cut off")
            self._transport.abort()


def let_its_window_stay_shut(transport: asyncio.Transport) -> None:
    """Has the kernel keep a connection whose peer takes nothing but lives (RFC 1122 §4.2.2.17); `SILENT_S` finds the dead."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)
