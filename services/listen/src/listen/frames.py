"""picows' parser (2.3) under a wire: the only place that knows picows' inside. Must not decide anything.

What of picows decided the shape:
- It answers a frame it cannot parse with a close frame of its own and goes on parsing. All that is told of it is a call of its
  logger: ours raises, so that parsing ends there, and what the client is told is the session's to say.
- Its read buffer doubles whenever a read fills it: how much one read takes is bounded (`reading`).
- What it needs of a transport is little, and some of it (options of the socket, lines for a log) costs system calls: `Line`.
"""

import asyncio
import logging
from time import perf_counter
from typing import Any, Final, NoReturn, Protocol

from picows import WSAutoPingStrategy, WSUpgradeResponse
from picows.common import WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # its stub leaves it out

from listen import close_codes
from listen.reading import LEAST_BYTES, READ_BYTES, WORTH_S, Reading

log = logging.getLogger(__name__)

_REQUEST: Final = (
    "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: {}\r\n\r\n"
)
"""The handshake as picows sees it: it was checked before, more strictly."""
_ANSWERS: dict[str | None, Any] = {}
"""By subprotocol, one for all sockets: picows puts the key's answer in and writes it out in one go."""


class _Wire(Protocol):
    """What belongs to the frames."""

    heard: bool
    frames: int
    reading: Reading

    @property
    def over(self) -> bool:
        """Whether the connection is lost."""

    def closed_before_it_broke(self, code: int) -> None:
        """The client's close came before what cannot be parsed."""

    def fail(self, code: int, reason: str) -> None:
        """What came cannot be parsed."""

    def lost(self) -> None:
        """The connection is over."""


class _BrokenError(Exception):
    """picows cannot go on."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Ears:
    """Stands where picows wants its logger: the only way in which it tells what it cannot parse."""

    def isEnabledFor(self, _level: int) -> bool:  # noqa: N802 - logging's name
        return False

    def log(self, *_args: object) -> None:
        pass

    debug = info = warning = log

    def error(self, _message: str, *args: Any) -> NoReturn:
        code, reason = args[0][:2]
        raise _BrokenError(int(getattr(code, "value", code)), str(reason))

    def exception(self, message: str, *_args: object) -> NoReturn:
        log.error("a defect in a socket: %s", message, exc_info=True)  # noqa: LOG014 - called from picows' handlers
        raise _BrokenError(close_codes.DEFECT, "our fault")


_EARS: Final = _Ears()
_get_buffer = WSProtocol.get_buffer
_buffer_updated = WSProtocol.buffer_updated


class Frames(WSProtocol):  # type: ignore[misc]  # a class of Cython, without types
    """picows' parser, as the transport calls it."""

    __slots__ = ("_wire",)

    def __init__(self, wire: _Wire, subprotocol: str | None, message_bytes: int) -> None:
        self._wire = wire
        answer = _ANSWERS.get(subprotocol)
        if answer is None:
            headers = {} if subprotocol is None else {"Sec-WebSocket-Protocol": subprotocol}
            answer = _ANSWERS[subprotocol] = WSUpgradeResponse.create_101_response(headers)
        super().__init__(
            None,  # host_port
            None,  # ws_path
            False,  # is_client_side
            lambda _request: WSUpgradeResponseWithListener(answer, wire),
            _EARS,
            False,  # disconnect_on_exception
            None,  # websocket_handshake_timeout
            False,  # enable_auto_ping
            0,
            0,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # enable_auto_pong: a flood of pings must not fill our memory with pongs
            message_bytes,
            None,  # extra_headers
            0,  # read_buffer_init_size: its least, 2 KiB
        )

    def handshake(self, key: str) -> None:
        """Answers the handshake."""
        self.feed(_REQUEST.format(key).encode())

    def feed(self, data: bytes) -> None:
        """What has been read already."""
        view = memoryview(data)
        while view and not self._wire.over:
            buffer = self.get_buffer(-1)
            size = min(len(buffer), len(view))
            buffer[:size] = view[:size]
            view = view[size:]
            self.buffer_updated(size)

    def get_buffer(self, size_hint: int) -> memoryview:
        """Where the next read goes."""
        buffer: memoryview = _get_buffer(self, size_hint)
        most = self._wire.reading.most_bytes
        return buffer if len(buffer) <= most else buffer[:most]

    def buffer_updated(self, size: int) -> None:
        """So much was read."""
        wire = self._wire
        wire.heard = True
        frames, began_s = wire.frames, perf_counter() if size >= LEAST_BYTES else None
        try:
            _buffer_updated(self, size)
        except _BrokenError as error:
            handshake = self.transport.close_handshake
            if handshake is not None and handshake.recv is not None and error.code != close_codes.DEFECT:
                wire.closed_before_it_broke(int(handshake.recv.code))
            wire.fail(error.code, error.reason)
        if began_s is not None:
            ended_s, reading = perf_counter(), wire.reading
            if ended_s - began_s > WORTH_S or reading.most_bytes < READ_BYTES:
                reading.charge(size, wire.frames - frames, began_s, ended_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        super().connection_lost(exc)
        self._wire.lost()


class Deaf(asyncio.Protocol):
    """Throws away what comes, until the client ends the connection or `sweep` does."""

    __slots__ = ("_wire",)

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is over."""
        self._wire.lost()


class Line:
    """The transport as picows sees it: it may write, and nothing else. Also the socket that it asks the transport for."""

    __slots__ = ("_fileno", "get_write_buffer_size", "write", "writelines")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._fileno: int = transport.get_extra_info("socket").fileno()
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.write = transport.write
        self.writelines = transport.writelines

    def get_extra_info(self, name: str) -> Any:
        """Of everything that it asks for, the socket."""
        return self if name == "socket" else None

    def fileno(self) -> int:
        """Where picows writes."""
        return self._fileno

    def setsockopt(self, *_args: int) -> None:
        """Accepted sockets inherit what they need from the listening one."""

    def getsockopt(self, *_args: int) -> int:
        """For a line in its log."""
        return 0

    def close(self) -> None:
        """When a connection ends is the wire's to say."""

    abort = close
