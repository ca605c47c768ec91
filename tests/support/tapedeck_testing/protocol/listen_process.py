"""A running `python -m listen`, as its operator starts it, and what the tests arrange in Redis beside it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import websockets
from websockets.asyncio.client import connect

from audiobus import Bus, Chunk, Conversation, decode_chunk
from audiocodec.span import Span
from tapedeck_testing.free_ports import free_port
from tapedeck_testing.protocol.socket_client import SocketClient

SECRET = "a secret that is long enough to sign with"
START_S = 60.0
ORIGIN = "https://app.example"


class ListenProcess:
    """One process on loopback, under a prefix in Redis of its own."""

    def __init__(self, redis_url: str, folder: Path, **environ: str) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "secret").write_text(SECRET)
        self.redis_url = redis_url
        self.prefix = f"t{uuid.uuid4().hex[:12]}:"
        self.port, self.admin_port = free_port(), free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self.http = f"http://127.0.0.1:{self.port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self._environ = {
            "TAPEDECK_REDIS_URL": redis_url,
            "TAPEDECK_REDIS_PREFIX": self.prefix,
            "TAPEDECK_AUTH": "dev",
            "TAPEDECK_JWT_SECRET_FILE": str(folder / "secret"),
            "TAPEDECK_LISTEN_BIND": f"127.0.0.1:{self.port}",
            "TAPEDECK_ADMIN_BIND": f"127.0.0.1:{self.admin_port}",
            "TAPEDECK_ALLOWED_ORIGINS": ORIGIN,
            "TAPEDECK_OPUS_COMPLEXITY": "0",
            "TAPEDECK_MAX_SESSIONS_PER_USER": "10000",  # all tests of a run are one user
            **environ,
        }
        self._process: subprocess.Popen[bytes] | None = None

    # -- its life ----------------------------------------------------------------------------------------------------

    def start(self) -> "ListenProcess":
        """Starts it and waits until it is ready and listens."""
        with (self._folder / "listen.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "listen"],
                env={**os.environ, **self._environ},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while not self.ready:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"listen did not become ready:\n{self.log}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.03)
        return self

    @property
    def ready(self) -> bool:
        """What `/readyz` says."""
        try:
            return httpx.get(f"{self.admin}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._folder / "listen.log").read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process is not None and self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        """As an operator does."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Waits for its end; answers the exit code."""
        assert self._process is not None
        return self._process.wait(60)

    def kill(self) -> None:
        """SIGKILL, as often as it is called."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    # -- who comes ---------------------------------------------------------------------------------------------------

    def token(self, uid: str = "alice", **claims: Any) -> str:
        """A token of a user; `exp` and the like as asked for."""
        return jwt.encode({"sub": uid, **claims}, SECRET, "HS256")

    @contextlib.asynccontextmanager
    async def connect(
        self,
        path: str = "/v4/listen",
        *,
        uid: str = "alice",
        token: str | None = None,
        plain: bool = False,
        subprotocols: tuple[str, ...] | None = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> AsyncIterator[SocketClient]:
        """A client's socket. `token=""` sends no `Authorization`; `subprotocols` default to what the dialect offers."""
        all_headers = dict(headers or {})
        if token != "":
            all_headers["Authorization"] = f"Bearer {token or self.token(uid)}"
        offered = subprotocols if subprotocols is not None else () if plain else ("tapedeck.v1",)
        async with connect(
            f"{self.url}{path}?{urlencode(query)}",
            additional_headers=all_headers,
            subprotocols=[websockets.Subprotocol(name) for name in offered] or None,
            compression=None,
            close_timeout=2,
            open_timeout=60,
            ping_interval=None,
            proxy=None,
        ) as socket:
            yield SocketClient(socket)

    async def record(self, *messages: bytes, **options: Any) -> SocketClient:
        """A whole recording: `ready`, the messages, `close`. Answers the client, with all that it heard."""
        async with self.connect(**options) as client:
            await client.ready()
            await client.send(*messages)
            await client.say(type="close")
            assert await client.closed() == 1000, client.texts
            return client

    async def refusal(self, path: str = "/v4/listen", **options: Any) -> httpx.Response:
        """The HTTP answer to a handshake that is refused."""
        try:
            async with self.connect(path, **options) as client:
                raise AssertionError(f"accepted; closed with {await client.closed()}, {client.texts}")
        except websockets.InvalidStatus as refused:
            answer = refused.response
            headers = [(name, value) for name, value in answer.headers.raw_items()]
            return httpx.Response(answer.status_code, headers=headers, content=bytes(answer.body))

    # -- what lies in Redis ------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def bus(self) -> AsyncIterator[Bus]:
        """A connection to its Redis, under its prefix."""
        async with Bus(self.redis_url, prefix=self.prefix) as bus:
            yield bus

    async def chunks(self, cid: str, uid: str = "alice") -> list[Chunk]:
        """The chunks of a conversation that wait in Redis."""
        async with self.bus() as bus:
            entries = await bus.read(Conversation(uid, cid), count=100_000)
        return [decode_chunk(entry.chunk) for entry in entries if entry.chunk]

    async def spans(self, cid: str, uid: str = "alice") -> list[Span]:
        """The audio of a conversation that waits in Redis."""
        async with self.bus() as bus:
            entries = await bus.read(Conversation(uid, cid), count=100_000)
        return [
            decode_chunk(entry.chunk).span(cid, entry.id.epoch, entry.id.offset)
            for entry in entries
            if entry.chunk
        ]

    async def set_user(self, uid: str, **settings: str) -> None:
        """As an operator sets a user."""
        async with self.bus() as bus:
            await bus.command("HSET", bus.keys.user(uid), *(x for pair in settings.items() for x in pair))

    async def appended(self, cid: str, seconds: float, uid: str = "alice") -> None:
        """Waits until so much audio of a conversation is safe."""
        async with asyncio.timeout(START_S):
            while sum(chunk.samples for chunk in await self.chunks(cid, uid)) < seconds * 48_000:
                await asyncio.sleep(0.02)

    async def metric(self, line: str) -> float:
        """A sample of its metrics, by name and labels as they stand on the page; 0 where there is none."""
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"{self.admin}/metrics")).text
        found = [row.rpartition(" ")[2] for row in text.splitlines() if row.rpartition(" ")[0] == line]
        return float(found[0]) if found else 0.0
