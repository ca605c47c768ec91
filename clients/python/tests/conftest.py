"""Small real servers, WebSocket and HTTP, that follow the protocol pages and can be told to misbehave."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tapedeck.__main__ import main
from tapedeck_testing.stack import Stack


@dataclass
class HeldSession:
    """What the stand-in keeps of one session: its audio, as if safe in Redis."""

    conversation_id: str
    audio: bytearray = field(default_factory=bytearray)
    messages: list[bytes] = field(default_factory=list)
    parts: list[tuple[int, bytes]] = field(default_factory=list)  # (channel, payload)
    marks: list[tuple[int, int]] = field(default_factory=list)  # (offset, unix ms)
    over: bool = False

    def channel(self, number: int) -> bytes:
        """One channel's audio."""
        return b"".join(payload for channel, payload in self.parts if channel == number)

    def lose(self, size: int) -> None:
        """Forget the newest bytes, as a server does that had not stored them yet."""
        self.audio = self.audio[: max(0, len(self.audio) - size)]
        while self.parts and size > 0:
            channel, payload = self.parts.pop()
            if len(payload) > size:
                self.parts.append((channel, payload[:-size]))
            size -= len(payload)


@dataclass
class ListenStandIn:
    """The server's state and the faults that it has been told to play."""

    url: str = ""
    sessions: dict[str, HeldSession] = field(default_factory=dict)
    queries: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    texts: list[dict] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, str]]] = field(
        default_factory=list
    )  # handshakes to refuse: status, headers
    cuts: list[tuple[int, int, str | None]] = field(
        default_factory=list
    )  # at this session offset: code, text before
    ack_lag: int = 0  # bytes of the newest audio that are not acked before a flush
    forgets: int = 0  # bytes of the newest audio that a resuming client must send again
    acking: bool = True
    unknown_sessions: bool = False  # nothing can be resumed, and nothing is known about it
    stores: bool = True
    mute_ready: int = 0  # so many sockets get no `ready`

    def total(self) -> bytes:
        """All audio of all sessions, in order."""
        return b"".join(bytes(session.audio) for session in self.sessions.values())


class _Socket:
    def __init__(self, held: ListenStandIn, socket: ServerConnection) -> None:
        self.held, self.socket = held, socket
        self.query = {k: v[0] for k, v in parse_qs(urlsplit(socket.request.path).query).items()}
        self.session = ""

    async def say(self, kind: str, **fields: object) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    @property
    def now(self) -> HeldSession:
        return self.held.sessions[self.session]

    async def begin(self, conversation_id: str, asked: str | None) -> None:
        former = self.held.sessions.get(asked or "")
        extra = {}
        if former is not None and not former.over and not self.held.unknown_sessions:
            self.session = asked
            former.lose(self.held.forgets)
            extra["resume_offset"] = len(former.audio)
        else:
            if former is not None and not self.held.unknown_sessions:
                extra["previous_offset"] = len(former.audio)
            self.session = str(1_732_147_200_000 + len(self.held.sessions))
            self.held.sessions[self.session] = HeldSession(conversation_id)
        await self.say(
            "ready",
            conversation_id=self.now.conversation_id,
            session=self.session,
            chunk_ms=1000,
            keepalive_s=0.2,
            **({"resume_offset": 0} | extra),
        )

    async def ack(self, *, flushed: bool = False) -> None:
        offset = max(0, len(self.now.audio) - (0 if flushed else self.held.ack_lag))
        if self.held.acking or flushed:
            stored = offset if flushed and self.held.stores else 0
            await self.say("ack", conversation_id=self.now.conversation_id, offset=offset, stored=stored)

    async def on_text(self, message: dict) -> None:
        kind = message["type"]
        self.held.texts.append(message)
        if kind == "mark":
            self.now.marks.append((len(self.now.audio), message["at_ms"]))
        elif kind == "finalize":
            await self.ack(flushed=True)
            await self.say("finalized", offset=len(self.now.audio), stored=self.held.stores)
        elif kind == "conversation":
            await self.ack(flushed=True)
            self.now.over = True
            await self.begin(message["conversation_id"], None)
        elif kind == "close":
            await self.ack(flushed=True)
            self.now.over = True
            await self.socket.close(1000)

    async def on_audio(self, message: bytes) -> bool:
        """Whether the socket goes on; after a cut, what it still had received is not taken."""
        channel, payload = (message[0], message[1:]) if self.query["channels"] == "2" else (0, message)
        self.now.audio += payload
        self.now.parts.append((channel, payload))
        self.now.messages.append(message)
        await self.ack()
        if self.held.cuts and len(self.now.audio) >= self.held.cuts[0][0]:
            _, code, text = self.held.cuts.pop(0)
            if text is not None:
                await self.socket.send(text)
            if code == 1006:
                self.socket.transport.abort()
            else:
                await self.socket.close(code)
            return False
        return True

    async def run(self) -> None:
        self.held.queries.append(self.query)
        if self.held.mute_ready > 0:
            self.held.mute_ready -= 1
            self.socket.transport.abort()
            return
        conversation_id = self.query.get("conversation_id", f"made-{len(self.held.sessions)}")
        try:
            await self.begin(conversation_id, self.query.get("session"))
            async for message in self.socket:
                if isinstance(message, str):
                    await self.on_text(json.loads(message))
                elif not await self.on_audio(message):
                    return
        except ConnectionClosed:
            return


@pytest.fixture
async def listen_stand_in():
    held = ListenStandIn()

    def check(connection, request):
        held.tokens.append(request.headers.get("Authorization", ""))
        if held.refusals:
            status, headers = held.refusals.pop(0)
            response = connection.respond(
                HTTPStatus(status), json.dumps({"title": "no", "detail": "told to refuse"})
            )
            for name, value in headers.items():
                response.headers[name] = value
            return response
        return None

    async def handle(socket):
        await _Socket(held, socket).run()

    async with serve(
        handle, "127.0.0.1", 0, subprotocols=["tapedeck.v1"], process_request=check, max_queue=None
    ) as server:
        port = server.sockets[0].getsockname()[1]
        held.url = f"ws://127.0.0.1:{port}"
        yield held


@pytest.fixture
async def within():
    """Wait for a condition, with a deadline."""

    async def wait(condition, seconds: float = 60.0):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    return wait


MEDIA_TYPES = {"ogg": "audio/ogg; codecs=opus", "wav": "audio/wav", "pcm": "application/octet-stream"}


@dataclass
class StorageStandIn:
    """A small storage API: its answers, and after how many bytes of a body it breaks off."""

    url: str = ""
    audio: bytes = b""
    etag: str | None = '"one"'
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    longest_part: int | None = None  # of a range no more is answered at once
    length_known: bool = True  # else the body goes out in chunks
    audio_headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: dict[str, object] = field(default_factory=dict)
    """By path, with or without its query: (status, body, headers), or a list of them that are given one after another.

    A status below 0 cuts the line after so many bytes of a longer body; None hangs until `released`."""
    when_asked: dict[str, Callable[[], object]] = field(
        default_factory=dict
    )  # by path, called before the answer
    after_break: object = None  # called after a break: what changes then
    released: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlsplit(handler.path).path
        self.requests.append((f"{handler.command} {handler.path}", dict(handler.headers)))
        self.bodies.append(handler.rfile.read(int(handler.headers.get("Content-Length", "0"))))
        missing = {"title": "Not found", "detail": "no such thing", "code": "not_found", "request_id": "r-1"}
        self.when_asked.get(path, bool)()
        key = handler.path if handler.path in self.answers else path
        found = self.answers.get(key)
        if isinstance(found, list):
            found = found.pop(0) if found else None
        if path.endswith("/audio") and found is None:
            self._audio(handler)
            return
        status, value, headers = (*(found or (404, missing)), {})[:3]
        if status is None:
            self.released.wait(60)
            handler.close_connection = True
            return
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        handler.send_response(200 if status < 0 else status)
        kind = "application/json" if status < 400 else "application/problem+json"
        for name, text in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            if text is not None:
                handler.send_header(name, text)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body[:-status] if status < 0 else body)
        if status < 0:
            _cut(handler)

    def _audio(self, handler: BaseHTTPRequestHandler) -> None:
        start, wanted = 0, handler.headers.get("Range")
        if wanted and self.ranges and handler.headers.get("If-Range") == self.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(self.audio):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.audio)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body = self.audio[start:][: self.longest_part if start else None]
        kind = parse_qs(urlsplit(handler.path).query)["format"][0]
        headers = {"Content-Type": MEDIA_TYPES[kind], "Accept-Ranges": "bytes" if self.ranges else "none"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(self.audio)}"
        headers |= (
            {"Content-Length": str(len(body))} if self.length_known else {"Transfer-Encoding": "chunked"}
        )
        headers |= {"ETag": self.etag} if self.etag else {}
        handler.send_response(206 if start else 200)
        for name, text in (headers | self.audio_headers).items():
            handler.send_header(name, text)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        sent = body[: self.breaks.pop(0)] if (breaks := bool(self.breaks)) else body
        if self.length_known:
            handler.wfile.write(sent)
        else:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(sent), sent) + (b"" if breaks else b"0\r\n\r\n"))
        if breaks:
            _cut(handler)
            if self.after_break is not None:
                self.after_break()


def _cut(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    with contextlib.suppress(OSError):  # the client may have gone already
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that cuts its line is nothing to print."""


@pytest.fixture
def storage_stand_in():
    held = StorageStandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            held.answer(self)

        do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    held.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield held
    held.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command in this process, without a terminal: its exit code, and what it printed."""
    for name in list(os.environ):
        if name.startswith("TAPEDECK_"):
            monkeypatch.delenv(name)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["tapedeck", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """A whole system as `tapedeck up` runs it, for tests that bring conversations of their own."""
    running = Stack(tmp_path_factory.mktemp("stack")).start()
    yield running
    assert running.stop() == 0
