"""A line to an HTTP server that spoils what it is told to: lost replies, refusals, broken bytes, silence."""

import contextlib
import http.client
import json
import sys
import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Answer:
    """What the line answers itself; the server sees nothing."""

    status: int
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


REFUSE = Answer(503)
FORBID = Answer(403)
TAKEN = Answer(412)


class FaultyLine(ThreadingHTTPServer):
    """Stands between a client and a server.

    `faults`: (text, what), taken in order, each for the next request whose "METHOD target" holds the text. What: an Answer; "lose" (the
    server works, the reply never comes), "cut" (half of the reply's body comes), "break" (the request's body arrives changed), "crc" (a reply
    in JSON names another CRC32C), "bytes" (the reply's body is another), "stall" (no reply until `release`).
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream)
        self.faults: deque[tuple[str, str | Answer]] = deque()
        self.requests: list[str] = []
        self.release = threading.Event()
        self.rewrite: Callable[[str], str] = lambda target: target
        """What of the request's target the server gets to see."""
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self) -> None:
        """Lets go whoever waits, and ends."""
        self.release.set()
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may leave at any time, as those do that are cut off; everything else is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def next_fault(self, request: str) -> str | Answer:
        """What is to happen to this request."""
        self.requests.append(request)
        return self.faults.popleft()[1] if self.faults and self.faults[0][0] in request else ""

    def counted(self, text: str) -> int:
        """How many requests so far hold the text."""
        return sum(text in request for request in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyLine

    def handle_any(self) -> None:
        body = self._body()
        fault = self.server.next_fault(f"{self.command} {self.path}")
        if isinstance(fault, Answer):
            self._answer(fault.status, dict(fault.headers), fault.body)
            return
        if fault == "stall":
            self.server.release.wait(30)
            self.close_connection = True
            return
        status, headers, data = self._forward(_changed(body) if fault == "break" else body)
        if fault == "lose":
            self.close_connection = True
            return
        if fault == "crc":
            data = json.dumps(_with_other_crc(json.loads(data))).encode()
        if fault == "bytes":
            data = _changed(data)
        self._answer(status, headers, data, cut=fault == "cut")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = self.server.upstream
        line = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=10)
        with contextlib.closing(line):
            line.request(
                self.command, self.server.rewrite(self.path), body, dict(self.headers)
            )  # with its Host, which S3 signs
            reply = line.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()

    def _answer(self, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        length = len(data)
        for name, value in headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = int(value)
            elif name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection |= cut

    def log_message(self, *_args: object) -> None:
        """Says nothing."""

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_any  # noqa: N815 — http.server's names


def _changed(data: bytes) -> bytes:
    return bytes(byte ^ 1 for byte in data)


def _with_other_crc(answer: dict[str, Any]) -> dict[str, Any]:
    if "resource" in answer:
        return answer | {"resource": _with_other_crc(answer["resource"])}
    return answer | {"crc32c": "AAAAAA=="}
