"""The devices: many WebSockets over plain sockets, without an event loop or a library between them and the kernel.

Owns the client's half of RFC 6455 as far as a bench needs it: the handshake, frames that are masked once and sent again and
again, pongs, and what acks say. It must cost little: it shares the machine with what is measured.
"""

import base64
import contextlib
import os
import select
import socket
from collections.abc import Callable, Sequence

OPEN_AT_ONCE = 50
"""Handshakes under way together."""
OPEN_S = 30.0
BINARY, TEXT, CLOSE, PING, PONG = 0x2, 0x1, 0x8, 0x9, 0xA
FIN, MASKED = 0x80, 0x80
MASK = b"\x5a\xa5\x3c\xc3"
_OFFSET = b'"offset":'


def frame(payload: bytes, opcode: int = BINARY) -> bytes:
    """A masked frame (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        head = bytes((FIN | opcode, MASKED | size))
    elif size < 65_536:
        head = bytes((FIN | opcode, MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((FIN | opcode, MASKED | 127)) + size.to_bytes(8, "big")
    key = (MASK * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + MASK + masked.to_bytes(size, "big")


class Device:
    """One socket."""

    def __init__(self, host: str, port: int, target: str, token: str) -> None:
        """Connects and asks for the upgrade."""
        self.socket = socket.create_connection((host, port), timeout=OPEN_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""
        self.behind = b""
        """What the kernel did not take yet."""
        self.acked = 0
        """The offset of the newest ack."""
        self.gone = False
        request = (
            f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: tapedeck.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        self.socket.sendall(request.encode())

    def wait_ready(self) -> None:
        """Waits for the first text, `ready`. ConnectionError: refused, or closed."""
        head = b""
        while b"\r\n\r\n" not in head:
            more = self.socket.recv(4096)
            if not more:
                raise ConnectionError(f"closed in the handshake: {head[:500]!r}")
            head += more
        head, _, self._read = head.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(f"refused: {head[:500]!r}")
        while not any(opcode == TEXT for opcode, _ in self._frames()):
            more = self.socket.recv(4096)
            if not more:
                raise ConnectionError("closed before `ready`")
            self._read += more
        self.socket.setblocking(False)

    def send(self, data: bytes) -> None:
        """Sends, or keeps what the kernel has no room for."""
        if self.behind:
            data = self.behind + data
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.gone, self.behind = True, b""
            return
        self.behind = data[sent:]

    def read(self) -> bool:
        """Takes what has come; whether an ack moved on. Sets `gone` where the server has closed."""
        try:
            more = self.socket.recv(65_536)
        except BlockingIOError:
            return False
        except OSError:
            more = b""
        if not more:
            self.gone = True
            return False
        self._read += more
        before = self.acked
        for opcode, payload in self._frames():
            if opcode == TEXT and payload.startswith(b'{"type":"ack"'):
                at = payload.index(_OFFSET) + len(_OFFSET)
                self.acked = int(payload[at : payload.index(b",", at)])
            elif opcode == PING:
                self.send(frame(payload, PONG))
            elif opcode == CLOSE:
                self.gone = True
        return self.acked > before

    def close(self) -> None:
        """Leaves as a device whose battery is out."""
        with contextlib.suppress(OSError):
            self.socket.close()

    def _frames(self) -> list[tuple[int, bytes]]:
        """The whole frames that have come: opcode and payload. A server masks nothing."""
        frames, data, at = [], self._read, 0
        while len(data) - at >= 2:
            start, size = at + 2, data[at + 1]
            if size == 126:
                start, size = at + 4, int.from_bytes(data[at + 2 : at + 4], "big")
            if len(data) < start + size:
                break
            frames.append((data[at] & 0x0F, data[start : start + size]))
            at = start + size
        self._read = data[at:]
        return frames


class Devices:
    """All sockets of one load, open."""

    def __init__(self, host: str, port: int, clients: Sequence[tuple[str, str]]) -> None:
        """Opens a socket for each `(target, token)`, and waits until the server has spoken to each."""
        self.all: list[Device] = []
        for at in range(0, len(clients), OPEN_AT_ONCE):
            opening = [Device(host, port, target, token) for target, token in clients[at : at + OPEN_AT_ONCE]]
            for device in opening:
                device.wait_ready()
            self.all += opening
        self._poll = select.epoll()
        self._by_number = {device.socket.fileno(): index for index, device in enumerate(self.all)}
        for number in self._by_number:
            self._poll.register(number, select.EPOLLIN)

    def read(self, acked: Callable[[int], None]) -> None:
        """Takes what has come by now, and calls `acked` with the index of each device that has heard more."""
        for number, _ in self._poll.poll(0):
            index = self._by_number[number]
            device = self.all[index]
            if device.read():
                acked(index)
            if device.gone:
                self._poll.unregister(number)

    @property
    def behind(self) -> int:
        """How many devices have something that the kernel did not take."""
        return sum(1 for device in self.all if device.behind)

    @property
    def gone(self) -> int:
        """How many the server has closed."""
        return sum(1 for device in self.all if device.gone)

    def close(self) -> None:
        """Closes all."""
        for device in self.all:
            device.close()
