"""The client's end of one WebSocket (RFC 6455), as cheap as it goes: hundreds of them fit into one process.

Owns framing, pongs and the closing handshake. Masks with zeros, which is a mask like any other; so what is sent needs no
work at all. Takes no message apart: an unknown frame ends the line.
"""

import asyncio
import socket
import struct
import time
from typing import Final, Protocol

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
_HEAD_LIMIT: Final = 16_384
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Listener(Protocol):
    """Who is told what comes."""

    def opened(self) -> None:
        """The server has switched protocols."""

    def refused(self, status: int, head: str) -> None:
        """The server has answered the handshake otherwise."""

    def text(self, data: bytes) -> None:
        """A text message."""

    def ended(self, code: int | None) -> None:
        """The line is down; None where no close frame came."""


def frame(opcode: int, payload: bytes) -> bytes:
    """A masked frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 65_536:
        head = struct.pack(">BBH", 0x80 | opcode, 0xFE, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 0xFF, size)
    return head + b"\0\0\0\0" + payload


def handshake(host: str, path: str, token: str, subprotocol: str | None) -> bytes:
    """The request that opens it (RFC 6455 §4.1)."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Authorization: Bearer {token}",
        *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Line(asyncio.Protocol):
    """One connection. After `cut` or `abandon` its listener hears nothing more."""

    def __init__(self, request: bytes, listener: Listener) -> None:
        self._request = request
        self._listener: Listener | None = listener
        self._transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._open = False
        self._code: int | None = None
        self.paused = False
        """The kernel takes no more for now."""
        self.heard_at = time.monotonic()
        """When a byte came last."""
        self.port = 0
        """Our own port: how a relay knows this line."""

    # -- asyncio -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            listener.ended(self._code)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    def data_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        self._data += data
        if not self._open and not self._switched():
            return
        while (message := self._next()) is not None:
            self._take(*message)

    # -- what a client does ------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Sends frames."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def cut(self, how: str) -> None:
        """Ends it without a word: `drop` (FIN), `reset` (RST), or `abandon` (the server sees nothing at all)."""
        self._listener = None
        if self._transport is None:
            return
        if how == "abandon":
            self._transport.pause_reading()
            return
        if how == "reset" and (raw := self._transport.get_extra_info("socket")) is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def close(self, code: int = 1000) -> None:
        """Begins the closing handshake."""
        self.write(frame(CLOSE, struct.pack(">H", code)))

    # -- frames ------------------------------------------------------------------------------------------------------

    def _switched(self) -> bool:
        at = self._data.find(b"\r\n\r\n")
        if at < 0:
            if len(self._data) > _HEAD_LIMIT:
                self._abort()
            return False
        head = self._data[:at].decode("latin-1")
        del self._data[: at + 4]
        status = int(head.split(" ", 2)[1])
        if status != 101:
            listener, self._listener = self._listener, None
            self._abort()
            if listener is not None:
                listener.refused(status, head)
            return False
        self._open = True
        if self._listener is not None:
            self._listener.opened()
        return True

    def _next(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        size, at = data[1], 2
        if size == 126:
            at = 4
            size = int.from_bytes(data[2:4], "big")
        elif size > 126:
            at = 10
            size = int.from_bytes(data[2:10], "big")
        if len(data) < at or len(data) < at + size:
            return None
        opcode, payload = data[0], bytes(data[at : at + size])
        del data[: at + size]
        return opcode, payload

    def _take(self, first: int, payload: bytes) -> None:
        match first:
            case 0x81:
                if self._listener is not None:
                    self._listener.text(payload)
            case 0x89:
                self.write(frame(PONG, payload))
            case 0x8A:
                pass
            case 0x88:
                self._code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
                self.write(frame(CLOSE, payload[:2]))
                if self._transport is not None:
                    self._transport.close()
            case _:
                self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
