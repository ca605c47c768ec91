"""A proxy before a bucket's HTTP server that refuses, delays, loses, cuts and garbles what it is told to, and counts each time.

Owns the connections and the counting. Reads HTTP (h11), so that a fault can be for uploads alone, or for one bucket alone; every request
and answer is taken whole before it goes on.
"""

import asyncio
import base64
import contextlib
import json
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import h11

How = Literal["429", "500", "503", "403", "404", "hold", "lose", "reset", "cut", "garble", "slow"]
Op = Literal["put", "get", "head", "list", "copy", "delete", "other"]

LATENCY_S: Final = (0.02, 0.08)
"""What a bucket takes for anything."""
HOLD_S: Final = (2.0, 6.0)
SLOW_S: Final = (0.5, 2.5)
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_PIECE: Final = 64 * 1024
_BUCKET: Final = re.compile(r"/b/([^/?]+)")
_LOST: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_TEXTS: Final = {
    "429": "rateLimitExceeded",
    "500": "backendError",
    "503": "backendError",
    "403": "forbidden",
    "404": "The specified bucket does not exist.",
}


@dataclass(frozen=True, slots=True)
class Spoil:
    """What happens to a share of the requests to one bucket, or to any."""

    how: How
    share: float = 1.0
    bucket: str | None = None


@dataclass(slots=True)
class Message:
    """A request or an answer, whole."""

    start: tuple[str, str]
    """Method and target, or the status and nothing."""
    headers: list[tuple[bytes, bytes]]
    body: bytes


def op_of(method: str, target: str) -> Op:
    """What a request of the JSON API is."""
    path = target.partition("?")[0]
    if method == "POST" and path.startswith("/upload/"):
        return "put"
    if "/rewriteTo/" in path or "/copyTo/" in path:
        return "copy"
    if method == "DELETE":
        return "delete"
    if method == "GET" and path.endswith("/o"):
        return "list"
    if method == "GET" and (path.startswith("/download/") or "alt=media" in target):
        return "get"
    return "head" if method == "GET" and "/o/" in path else "other"


class BucketLine:
    """Listens on a port of its own, and hands on to a server on loopback."""

    def __init__(self, port: int, *, seed: int = 0) -> None:
        """`port` is where the server is."""
        self._upstream = port
        self._chance = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.spoils: list[Spoil] = []
        """What is done now; the first that fits is taken."""
        self.away: frozenset[str] | None = None
        """Buckets whose requests are reset before they are read; an empty set stands for all of them."""
        self.turning_away = False
        """Whoever connects is reset at once."""
        self.turned_away = 0
        """How many were."""
        self.hits: Counter[tuple[str, Op]] = Counter()
        self.requests: Counter[Op] = Counter()

    async def start(self) -> "BucketLine":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Ends everything; nobody answers at the port any more, until `start`."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def hit(self, how: str, ops: Iterable[Op] = ("put",)) -> int:
        """How often a fault has struck requests of these kinds."""
        return sum(self.hits[how, op] for op in ops)

    # -- one connection ----------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self.turning_away:
            self.turned_away += 1
            _reset(writer)
            writer.transport.abort()
            return
        self._tasks.add(task)
        try:
            await self._talk(reader, writer)
        except (OSError, h11.ProtocolError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a client that left, the fault itself, or the end of the line
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = h11.Connection(h11.SERVER)
        while (request := await _receive(line, reader, writer)) is not None:
            method, target = request.start
            op = op_of(method, target)
            self.requests[op] += 1
            spoil = self._spoil(target)
            how = spoil.how if spoil is not None else None
            if self._is_away(target):
                how = "reset"
                self.hits["away", op] += 1
            elif how is not None:
                self.hits[how, op] += 1
            await asyncio.sleep(self._chance.uniform(*LATENCY_S))
            if how == "reset":
                _reset(writer)
                return
            answer = _refusal(how) if how in _TEXTS else await self._forward(request)
            if how == "lose":
                return
            if how in ("hold", "slow"):
                await asyncio.sleep(self._chance.uniform(*(HOLD_S if how == "hold" else SLOW_S)))
            if how == "garble":
                answer = _garbled(answer)
            await _send(line, writer, answer, head_only=method == "HEAD", cut=how == "cut")
            if how == "cut":
                return
            if line.our_state is not h11.DONE or line.their_state is not h11.DONE:
                return
            line.start_next_cycle()

    def _spoil(self, target: str) -> Spoil | None:
        for spoil in self.spoils:
            if spoil.bucket in (None, _bucket_of(target)) and self._chance.random() < spoil.share:
                return spoil
        return None

    def _is_away(self, target: str) -> bool:
        return self.away is not None and (not self.away or _bucket_of(target) in self.away)

    async def _forward(self, request: Message) -> Message:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        with contextlib.closing(writer):
            line = h11.Connection(h11.CLIENT)
            method, target = request.start
            headers = _carried(request.headers, len(request.body))
            writer.write(line.send(h11.Request(method=method, target=target, headers=headers)) or b"")
            if request.body:
                writer.write(line.send(h11.Data(data=request.body)) or b"")
            writer.write(line.send(h11.EndOfMessage()) or b"")
            await writer.drain()
            answer = await _receive(line, reader, writer)
        if answer is None:
            raise ConnectionResetError("the bucket's server closed the connection")
        return answer


async def _receive(
    line: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Message | None:
    """The next message, whole; None where the other side has closed."""
    message: Message | None = None
    while True:
        event = line.next_event()
        if event is h11.NEED_DATA:
            if line.they_are_waiting_for_100_continue:
                informed = h11.InformationalResponse(status_code=100, headers=[])
                writer.write(line.send(informed) or b"")
            line.receive_data(await reader.read(_PIECE))
        elif isinstance(event, h11.Request):
            message = Message((event.method.decode(), event.target.decode()), list(event.headers), b"")
        elif isinstance(event, h11.Response):
            message = Message((str(event.status_code), ""), list(event.headers), b"")
        elif isinstance(event, h11.Data):
            assert message is not None
            message.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return message
        elif isinstance(event, h11.ConnectionClosed):
            return None


async def _send(
    line: h11.Connection, writer: asyncio.StreamWriter, answer: Message, *, head_only: bool, cut: bool
) -> None:
    headers = answer.headers if head_only else _carried(answer.headers, len(answer.body))
    writer.write(line.send(h11.Response(status_code=int(answer.start[0]), headers=headers)) or b"")
    if cut:
        writer.write(answer.body[: len(answer.body) // 2])
        await writer.drain()
        return
    if answer.body and not head_only:
        writer.write(line.send(h11.Data(data=answer.body)) or b"")
    writer.write(line.send(h11.EndOfMessage()) or b"")
    await writer.drain()


def _carried(headers: Iterable[tuple[bytes, bytes]], size: int) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.decode("latin-1").lower() not in _LOST]
    return [*kept, (b"Content-Length", b"%d" % size)]


def _refusal(how: str | None) -> Message:
    assert how is not None
    reason = {"error": {"code": int(how), "message": _TEXTS[how], "errors": [{"reason": _TEXTS[how]}]}}
    return Message((how, ""), [(b"Content-Type", b"application/json")], json.dumps(reason).encode())


def _garbled(answer: Message) -> Message:
    """Another checksum in what the bucket says of an object, in JSON and in headers."""
    wrong = base64.b64encode(b"\0\1\2\3").decode()
    headers = [
        (name, f"crc32c={wrong}".encode() if name.lower() == b"x-goog-hash" else value)
        for name, value in answer.headers
    ]
    body = answer.body
    with contextlib.suppress(ValueError):
        said: Any = json.loads(body)
        if isinstance(said, dict):
            body = json.dumps(_with_other_crc(said, wrong)).encode()
    return Message(answer.start, headers, body)


def _with_other_crc(said: dict[str, Any], wrong: str) -> dict[str, Any]:
    if "resource" in said:
        return said | {"resource": _with_other_crc(said["resource"], wrong)}
    return said | {"crc32c": wrong} if "crc32c" in said else said


def _bucket_of(target: str) -> str | None:
    found = _BUCKET.search(target)
    return found.group(1) if found else None


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
