"""One client's end of a connection, with nothing between it and the bytes: it may break every rule.

Owns the socket, and puts what the server does with it into a few words (`Answer`). Must not judge them.
"""

import asyncio
import contextlib
import errno
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from tapedeck_testing.hostile.frames import CLOSE, PONG, TEXT, FrameReader, ServerFrame

LOOPBACK: Final = "127.0.0.1"
PIECE: Final = 64 * 1024
SOON_S: Final = 20.0
"""How long an answer may take. None of the answers depends on it, as long as they come."""


@dataclass(slots=True)
class Heard:
    """What the server has said so far."""

    status: int | None = None
    """Of the HTTP answer, the first one."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    """What came after the head of an answer that is no 101."""
    texts: list[dict[str, Any]] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    close_code: int | None = None
    """1005 for a close frame without a code."""
    ended: bool = False
    """The server closed the connection, in order or not."""

    @property
    def errors(self) -> list[str]:
        """The codes of the protocol's `error` messages."""
        return [text["code"] for text in self.texts if text.get("type") == "error"]

    def last(self, kind: str) -> dict[str, Any] | None:
        """The newest text of a type."""
        return next((text for text in reversed(self.texts) if text.get("type") == kind), None)

    def __str__(self) -> str:
        """`HTTP 400`; `close 1002`; `cut` (without a close frame); `open`. An error's code comes behind."""
        if self.close_code is not None:
            words = [f"close {self.close_code}"]
        elif self.status not in (None, 101):
            words = [f"HTTP {self.status}"]
        else:
            words = ["cut" if self.ended else "open"]
        return " ".join([*words, *self.errors[-1:]])


class Peer:
    """A connection. `async with await Peer.connect(port) as peer:`; leaving resets it."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.heard = Heard()
        self._frames = FrameReader()
        self._head = bytearray()
        self.broken = False
        """Nothing more can be sent: the server has reset the connection, or closed its side for reading."""

    @classmethod
    async def connect(cls, port: int, *, receive_buffer: int | None = None) -> Self:
        """Connects; a small receive buffer makes one that does not read felt early."""
        made = socket.socket()
        made.setblocking(False)
        if receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(made, (LOOPBACK, port))
        except BaseException:
            made.close()
            raise
        return cls(made)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()

    # -- what it does to the server ----------------------------------------------------------------------------------

    async def send(self, data: bytes, *, within_s: float = SOON_S) -> bool:
        """Sends; whether the server took it all. A server that stops reading makes it wait, one that resets ends it."""
        if self.broken:
            return False
        try:
            async with asyncio.timeout(within_s):
                await asyncio.get_running_loop().sock_sendall(self.socket, data)
        except ConnectionError:
            self.broken = True
        except TimeoutError:
            return False
        except OSError as refused:
            if refused.errno != errno.EBADF:
                raise
            self.broken = True
        return not self.broken

    async def trickle(self, data: bytes, pause_s: float) -> bool:
        """Sends a byte at a time."""
        for at in range(len(data)):
            if not await self.send(data[at : at + 1]):
                return False
            await asyncio.sleep(pause_s)
        return True

    def finish(self) -> None:
        """FIN: nothing more will come from here."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """RST (SO_LINGER of 0 s), whatever is under way."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # -- what it hears -----------------------------------------------------------------------------------------------

    async def hear(self, enough: Callable[[Heard], bool], *, within_s: float = SOON_S) -> Heard:
        """Reads until there is enough, the server ends the connection, or time is up; answers all that came so far."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within_s):
                while not (enough(self.heard) or self.heard.ended):
                    try:
                        data = await loop.sock_recv(self.socket, PIECE)
                    except ConnectionError:
                        data = b""
                    if data:
                        self._take(data)
                    else:
                        self.heard.ended = True
        except TimeoutError:
            pass
        return self.heard

    async def ending(self, *, within_s: float = SOON_S) -> Heard:
        """Reads until the connection is over."""
        return await self.hear(lambda _: False, within_s=within_s)

    async def text(self, kind: str, *, within_s: float = SOON_S, **fields: Any) -> dict[str, Any] | None:
        """The next text of a type with these fields; None where none came. What was heard before does not count."""
        seen = len(self.heard.texts)

        def found(heard: Heard) -> dict[str, Any] | None:
            return next(
                (
                    text
                    for text in heard.texts[seen:]
                    if text.get("type") == kind and fields.items() <= text.items()
                ),
                None,
            )

        return found(await self.hear(lambda heard: found(heard) is not None, within_s=within_s))

    def _take(self, data: bytes) -> None:
        heard = self.heard
        if heard.status is None:
            self._head += data
            if not self._head.startswith(b"HTTP/1"[: len(self._head)]):
                heard.status = 0  # no HTTP/1 at all: what it is, the attack knows
                heard.body = bytes(self._head)
                return
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = bytes(self._head[:end]).decode("latin-1").split("\r\n")
            heard.status = int(lines[0].split(" ")[1])
            pairs = (line.partition(":") for line in lines[1:])
            heard.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            data = bytes(self._head[end + 4 :])
        if heard.status != 101 or heard.headers.get("upgrade", "").lower() != "websocket":
            heard.body += data
            return
        for frame in self._frames.feed(data):
            self._note(frame)

    def _note(self, frame: ServerFrame) -> None:
        if frame.opcode == TEXT:
            self.heard.texts.append(json.loads(frame.payload))
        elif frame.opcode == PONG:
            self.heard.pongs.append(frame.payload)
        elif frame.opcode == CLOSE:
            self.heard.close_code = int.from_bytes(frame.payload[:2], "big") if frame.payload else 1005
