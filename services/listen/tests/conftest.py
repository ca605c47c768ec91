"""A desk at which a session is played through (no socket, no Redis, no clock), a service with real ones, and audio."""

import asyncio
import json
import os
import random
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import httpx
import jwt
import numpy as np
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from audiobus import (
    Appended,
    Bus,
    Chunk,
    Conversation,
    EntryId,
    Misplaced,
    Opened,
    Position,
    Replaced,
    UserState,
    decode_chunk,
    utc_day,
)
from audiocodec.encoder import Encoder
from audiocodec.span import Span, decode, join
from listen.actions import (
    Action,
    Append,
    AskToStore,
    Close,
    Count,
    Due,
    Encode,
    LookStored,
    LookUser,
    Open,
    Ready,
    SendText,
    Watch,
    WriteUsage,
)
from listen.allowance import Allowance
from listen.audio_format import AudioFormat
from listen.encoding import SocketEncoder
from listen.recording import Dialect
from listen.service import start
from listen.session import Session
from listen.settings import ListenSettings
from listen.terms import Terms
from servicekit.settings import load
from servicekit.stop import Stop
from tapedeck_testing import recordings

NOW_MS = 1_732_147_200_000
CID = "conv-1"


class Desk:
    """A session, and what stands for Redis: appends are checked as the script checks them, and kept."""

    def __init__(
        self,
        dialect: Dialect = "v1",
        codec: str = "pcm16",
        rate: int = 16_000,
        *,
        resume: int | None = None,
        opened: Opened | None = None,
        expires_at_ms: int | None = None,
        automatic: bool = True,
        chunk_ms: int = 1_000,
        batch_ms: int = 60_000,
        pre_skip: int = 312,
        channels: int = 1,
        user: UserState | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self.now_ms = NOW_MS
        self.user = user or UserState({}, 0, 0)
        """What a look at the user answers."""
        self.format = AudioFormat(codec, rate, channels, pre_skip)
        self.opened = opened or Opened(1_000, resume is not None, 0, None, None, None)
        self.automatic = automatic
        self.session = Session(
            Terms(
                arrived_ms=NOW_MS if user else 0,
                uid="alice",
                owner="me",
                conversation_id=CID,
                resume=resume,
                dialect=dialect,
                audio_format=self.format,
                chunk_ms=chunk_ms,
                batch_ms=batch_ms,
                due_ms=batch_ms,
                expires_at_ms=expires_at_ms,
                user=self.user,
                allowance=allowance or Allowance(),
            )
        )
        self.encoder = SocketEncoder(self.format, bitrate=24_000, complexity=0)
        self.newest = EntryId(self.opened.epoch, self.opened.offset)
        self.settled: EntryId | None = None
        self.dead_offset: int | None = None
        self.entries: list[tuple[str, EntryId, bytes]] = []
        self.positions: list[Position | None] = []
        """Of each entry, what is kept beside it."""
        self.actions: list[Action] = []
        """Those that are not done yet, where the desk is not automatic."""
        self.texts: list[dict[str, Any]] = []
        self.hints: list[Action] = []
        self.counts: list[Count] = []
        self.codes: list[int] = []
        self.opens: list[Open] = []
        self.looks: list[LookUser] = []
        self.late: list[WriteUsage] = []
        self.used: dict[int, int] = {}
        """Of the open session, as the script adds it up: samples by day."""

    # -- what the client does

    def start(self) -> "Desk":
        self.do(self.session.start(self.now_ms))
        return self

    def send(self, data: bytes) -> None:
        self.do(self.session.binary(data, self.now_ms))

    def say(self, **message: Any) -> None:
        self.do(self.session.text(json.dumps(message), self.now_ms))

    def leave(self) -> None:
        self.do(self.session.disconnected(self.now_ms))

    def wait(self, ms: int) -> None:
        """Time passes, as the shell tells it."""
        end = self.now_ms + ms
        while self.now_ms < end:
            self.now_ms = min(end, self.now_ms + 100)
            self.do(self.session.tick(self.now_ms))

    # -- what the shell does

    def do(self, actions: list[Action]) -> None:
        self.actions += actions
        while self.automatic and self.actions:
            self.one()

    def one(self, kind: type | None = None) -> Action:  # noqa: C901 - one case for each action
        """Does the first action, or the first of its kind."""
        index = next(i for i, a in enumerate(self.actions) if kind is None or isinstance(a, kind))
        action = self.actions.pop(index)
        more: list[Action] = []
        match action:
            case SendText(text):
                self.texts.append(json.loads(text))
            case Close(code):
                self.codes.append(code)
            case Open():
                self.opens.append(action)
                if len(self.opens) > 1 and not action.own:
                    self.opened = Opened(self.opened.epoch + 1, False, 0, None, None, None)
                    self.newest = EntryId(self.opened.epoch, 0)
                    self.used = {}
                more = self.session.opened(self.opened, self.now_ms)
            case Encode(job):
                more = self.session.encoded(self.encoder.run(job), self.now_ms)
            case Append():
                more = self.append(action)
            case AskToStore():
                self.hints.append(action)
                more = self.session.asked(self.now_ms)
            case LookStored():
                more = self.session.looked(self.settled, self.dead_offset, self.now_ms)
            case LookUser():
                self.looks.append(action)
                more = self.session.looked_up(self.user, self.now_ms)
            case WriteUsage():
                self.late.append(action)
            case Due() | Ready() | Watch():
                self.hints.append(action)
            case Count():
                self.counts.append(action)
        self.actions += more
        return action

    def append(self, action: Append) -> list[Action]:
        request = action.request
        if self.newest not in (request.before, request.id):
            return self.session.append_refused(Misplaced(self.newest), self.now_ms)
        if self.newest != request.id:
            self.entries.append((request.conversation.cid, request.id, request.chunk))
            self.positions.append(request.position)
            self.newest = request.id
            day = utc_day(request.now_ms)
            self.used[day] = self.used.get(day, 0) + request.samples
        used = ",".join(f"{day}:{samples}" for day, samples in sorted(self.used.items(), reverse=True)[:2])
        answer = Appended(
            request.id, self.settled, self.dead_offset, request.samples, len(self.entries) + 1, used.encode()
        )
        return self.session.appended(answer, self.now_ms)

    def replace(self, owner: str) -> None:
        self.do(self.session.append_refused(Replaced(owner, self.newest), self.now_ms))

    # -- what came of it

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [text for text in self.texts if text["type"] == kind]

    @property
    def acked(self) -> int:
        acks = self.of("ack")
        return int(acks[-1]["offset"]) if acks else 0

    def spans(self, cid: str = CID) -> list[Span]:
        """What was appended, each entry decoded as its readers do, which checks its sums."""
        return [
            decode_chunk(chunk).span(cid, id_.epoch, id_.offset)
            for where, id_, chunk in self.entries
            if where == cid
        ]

    def position(self) -> Position | None:
        """As a client that resumes finds it."""
        return Position.parse_or_none(str(self.positions[-1]).encode())

    def runs(self, cid: str = CID) -> list[Span]:
        return join(self.spans(cid))

    def pcm(self, cid: str = CID) -> bytes:
        return self.decoded(self.spans(cid))

    def decoded(self, spans: list[Span]) -> bytes:
        rate, channels = self.format.encoder_rate, self.format.channels
        return b"".join(piece for span in join(spans) for piece in decode(span, (), rate, channels))

    def chunks(self) -> list[Chunk]:
        return [decode_chunk(chunk) for _, _, chunk in self.entries]


@pytest.fixture
def desk() -> Callable[..., Desk]:
    """Makes a desk whose session is open."""
    return lambda *args, **kwargs: Desk(*args, **kwargs).start()


@pytest.fixture
def closed_desk() -> Callable[..., Desk]:
    """Makes a desk whose session has not begun."""
    return Desk


def noise(samples: int, seed: int = 1) -> bytes:
    """Something that is no silence: a wandering line."""
    source = random.Random(seed)
    level, out = 0, []
    for _ in range(samples):
        level = max(-20_000, min(20_000, level + source.randint(-900, 900)))
        out.append(level)
    return struct.pack(f"<{samples}h", *out)


@pytest.fixture(scope="session")
def speech(request: pytest.FixtureRequest) -> bytes:
    """Ten seconds of the bundled speech, s16le at 16 kHz."""
    path = request.config.rootpath / "clients/python/src/tapedeck/sample/speech.flac"
    with av.open(str(path)) as container:
        samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    return bytes(samples[:160_000].astype("<i2"))


@pytest.fixture(scope="session")
def second() -> bytes:
    """One second of PCM at 16 kHz."""
    return noise(16_000)


@pytest.fixture(scope="session")
def packets() -> list[bytes]:
    """Ten seconds of Opus packets of 20 ms."""
    encoder = Encoder(16_000, complexity=0)
    return encoder.encode(noise(160_000))


@pytest.fixture(scope="session")
def aac_messages() -> list[bytes]:
    """Four seconds of AAC at 16 kHz, a frame a message."""
    return recordings.aac_messages(noise(64_000), 16_000)


@pytest.fixture
def now_ms() -> int:
    return NOW_MS


SECRET = "a secret that is long enough to sign with"


def token(uid: str = "alice", **claims: Any) -> str:
    return jwt.encode({"sub": uid, **claims}, SECRET, "HS256")


class Client:
    """One socket of a client that speaks the protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.texts: list[dict[str, Any]] = []

    async def send(self, data: bytes) -> None:
        await self.socket.send(data)

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def hear(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of a kind, with these fields; what comes before it is kept in `texts`."""
        async with asyncio.timeout(20):
            while True:
                text = json.loads(await self.socket.recv())
                self.texts.append(text)
                if text["type"] == kind and all(text.get(name) == value for name, value in fields.items()):
                    return text

    async def acked(self, offset: int) -> dict[str, Any]:
        """The ack that covers at least so much."""
        while True:
            ack = await self.hear("ack")
            if ack["offset"] >= offset:
                return ack

    async def closed(self) -> int:
        """The code that the server closes with."""
        async with asyncio.timeout(20):
            try:
                while True:
                    self.texts.append(json.loads(await self.socket.recv()))
            except ConnectionClosed:
                assert self.socket.close_code is not None
                return self.socket.close_code

    @property
    def codes(self) -> list[str]:
        return [text["code"] for text in self.texts if text["type"] == "error"]


class Service:
    """A listen service of the test's own, in this process or another."""

    def __init__(self, redis_url: str, folder: Path, **environ: str) -> None:
        secret = folder / "secret"
        secret.write_text(SECRET)
        self.prefix = f"t{uuid.uuid4().hex[:12]}:"
        self.port, self.admin_port = _free_port(), _free_port()
        self.environ = {
            "TAPEDECK_REDIS_URL": redis_url,
            "TAPEDECK_REDIS_PREFIX": self.prefix,
            "TAPEDECK_AUTH": "dev",
            "TAPEDECK_JWT_SECRET_FILE": str(secret),
            "TAPEDECK_LISTEN_BIND": f"127.0.0.1:{self.port}",
            "TAPEDECK_ADMIN_BIND": f"127.0.0.1:{self.admin_port}",
            "TAPEDECK_DRAIN_SECONDS": "5",
            **environ,
        }
        self.bus = Bus(redis_url, prefix=self.prefix)
        self.http = f"http://127.0.0.1:{self.port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.stop = Stop(5.0)

    @asynccontextmanager
    async def here(self) -> AsyncIterator["Service"]:
        """Runs it in this process."""
        self.stop = Stop(5.0)
        running = asyncio.create_task(start(load(ListenSettings, self.environ), self.stop))
        try:
            await self.answers(running)
            yield self
        finally:
            self.stop.set()
            await running
            await self.bus.close()

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Runs it as a process, which the test may kill."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "listen", env={**os.environ, **self.environ}, stdout=subprocess.DEVNULL
        )
        try:
            await self.answers(process)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def answers(self, running: asyncio.Task[None] | asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(20), httpx.AsyncClient() as http:
            while True:
                try:
                    if (await http.get(f"{self.admin}/readyz")).status_code == 200:
                        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.close()
                        return
                except (httpx.TransportError, OSError):
                    if isinstance(running, asyncio.Task) and running.done():
                        await running
                    await asyncio.sleep(0.02)

    async def until_empty(self) -> None:
        """Until no socket is open."""
        async with asyncio.timeout(10):
            while (await self.metrics())["tapedeck_connections"]:
                await asyncio.sleep(0.02)

    async def metrics(self) -> dict[str, float]:
        async with httpx.AsyncClient() as http:
            lines = (await http.get(f"{self.admin}/metrics")).text.splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
        }

    @asynccontextmanager
    async def connect(
        self,
        query: str = "",
        *,
        path: str = "/v4/listen",
        bearer: str | None = None,
        plain: bool = False,
        **options: Any,
    ) -> AsyncIterator[Client]:
        headers = dict(options.pop("headers", {}))
        if bearer != "":
            headers["Authorization"] = f"Bearer {bearer or token()}"
        subprotocols = options.pop("subprotocols", None if plain else ["tapedeck.v1"])
        async with connect(
            f"ws://127.0.0.1:{self.port}{path}?{query}",
            additional_headers=headers,
            subprotocols=subprotocols,
            compression=None,
            close_timeout=2,
            **options,
        ) as socket:
            yield Client(socket)

    async def spans(self, cid: str, uid: str = "alice") -> list[Span]:
        """What lies in Redis."""
        entries = await self.bus.read(Conversation(uid, cid), count=100_000)
        return [
            decode_chunk(entry.chunk).span(cid, entry.id.epoch, entry.id.offset)
            for entry in entries
            if entry.chunk
        ]


class Raw:
    """A client that speaks WebSocket frames by hand, and is not polite."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def frame(self, opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0) -> bytes:
        """A masked frame (RFC 6455 §5.2); the mask is zero."""
        head = bytes([opcode | (0x80 if final else 0) | reserved << 4])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65_536:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", len(payload))
        return head + bytes(4) + payload

    async def pour(self, data: bytes) -> None:
        """Sends the same for ever."""
        try:
            while True:
                self.writer.write(data)
                await self.writer.drain()
        except ConnectionError:
            return

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the server's next frame."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack(">H", await self.reader.readexactly(2))
        return first & 15, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        while True:
            opcode, payload = await self.read_frame()
            if opcode == 8:
                return int.from_bytes(payload[:2])

    async def gone(self) -> None:
        """Returns when the server has broken the connection off."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def make_service(redis_url: str, tmp_path: Path) -> Callable[..., Service]:
    """Makes a service that is not started."""
    return lambda *, url=redis_url, **environ: Service(url, tmp_path, **environ)


@pytest_asyncio.fixture
async def service(make_service: Callable[..., Service]) -> AsyncIterator[Service]:
    """A running service."""
    async with make_service(TAPEDECK_ALLOWED_ORIGINS="https://app.example").here() as running:
        yield running


@pytest_asyncio.fixture
async def raw(service: Service) -> AsyncIterator[Callable[..., Any]]:
    """Opens sockets by hand; answers one with the handshake done, and the server's answer to it."""
    writers: list[asyncio.StreamWriter] = []

    async def open_socket(
        query: str = "codec=opus",
        headers: str = "",
        *,
        after: bytes = b"",
        uid: str = "alice",
        plain: bool = False,
    ) -> tuple[Raw, str]:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", service.port))
        reader, writer = await asyncio.open_connection(sock=client)
        writers.append(writer)
        head = (
            f"GET /v4/listen?{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"{'' if plain else 'Sec-WebSocket-Protocol: tapedeck.v1' + chr(13) + chr(10)}"
            f"Authorization: Bearer {token(uid)}\r\n{headers}\r\n"
        )
        writer.write(head.encode() + after)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert answer.startswith("HTTP/1.1 101")
        return Raw(reader, writer), answer

    yield open_socket
    for writer in writers:
        writer.transport.abort()


@pytest.fixture
def sign() -> Callable[..., str]:
    """Makes tokens."""
    return token
