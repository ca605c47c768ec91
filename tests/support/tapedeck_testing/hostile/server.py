"""A server to be attacked: a real `python -m listen` with a real Redis, or a bare sink to compare it with.

Owns the processes. Must not know the attacks.
"""

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import jwt

from tapedeck_testing.free_ports import free_port
from tapedeck_testing.hostile.frames import BINARY, TEXT, frame
from tapedeck_testing.hostile.heads import UPGRADE, Header, head
from tapedeck_testing.hostile.peer import Peer
from tapedeck_testing.hostile.vitals import Vitals, look
from tapedeck_testing.recordings import aac_messages
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import RedisProcess

SECRET: Final = "a secret that hostile clients do not know"
READY_S: Final = 60.0
LISTEN: Final = "listen"
SINKS: Final = ("hypercorn", "uvicorn", "picows")
WARM_UP: Final = (
    "codec=pcm16",
    "codec=pcm16&channels=2&sample_rate=44100",
    "codec=opus",
    "codec=opus&channels=2",
    "codec=aac&sample_rate=16000",
)
V1: Final[Header] = (b"Sec-WebSocket-Protocol", b"tapedeck.v1")


class Server:
    """One server process; `async with Server("listen", folder) as server:`."""

    def __init__(self, kind: str, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        """Starts nothing yet. `environ` goes on top of what the server needs; an empty value unsets."""
        self.kind = kind
        self.port, self.admin_port = free_port(), free_port()
        self.redis: RedisProcess | None = None
        self._folder = folder
        self._environ = environ or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._background = AsyncExitStack()
        self._numbers = count()

    @property
    def is_listen(self) -> bool:
        """Whether it speaks the protocol: sinks only swallow and acknowledge."""
        return self.kind == LISTEN

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.is_listen:
            self.redis = RedisProcess(any_server(), self._folder / "redis").start()
            self._background.callback(self.redis.stop)
        self._begin()
        self._background.callback(self._end)
        try:
            await self._answers()
        except BaseException:
            await self._background.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._background.aclose()

    def log(self) -> str:
        """What it has written."""
        return (self._folder / "server.log").read_text(errors="replace")

    async def look(self) -> Vitals:
        """What it holds."""
        return await look(self.pid, self.admin_port, redis_port=self.redis.port if self.redis else None)

    # -- clients' ways in --------------------------------------------------------------------------------------------

    def name(self, stem: str = "hostile") -> str:
        """A user or a conversation that nobody else has."""
        return f"{stem}-{next(self._numbers)}"

    def token(self, uid: str | None = None, **claims: object) -> str:
        """A good token."""
        return jwt.encode({"sub": uid or self.name(), **claims}, SECRET, "HS256")

    def handshake(self, query: str = "", *, path: str = "/v4/listen", plain: bool = False) -> bytes:
        """A good handshake of a user of its own."""
        target = f"{path}?{query}".encode() if query else path.encode()
        headers = (*UPGRADE, (b"Authorization", f"Bearer {self.token()}".encode()))
        return head(target, headers if plain else (*headers, V1))

    async def connect(self, *, receive_buffer: int | None = None) -> Peer:
        """A bare connection."""
        return await Peer.connect(self.port, receive_buffer=receive_buffer)

    async def session(
        self, query: str = "codec=pcm16", *, plain: bool = False, receive_buffer: int | None = None
    ) -> Peer:
        """An accepted socket that has read `ready`."""
        peer = await self.connect(receive_buffer=receive_buffer)
        await peer.send(self.handshake(query, plain=plain))
        await peer.hear(lambda heard: heard.last("ready") is not None)
        if peer.heard.last("ready") is None:
            peer.reset()
            raise ConnectionError(f"no `ready` came: {peer.heard}\n{self.log()[-2000:]}")
        return peer

    async def warm_up(self) -> None:
        """One short session of each kind, so that what is loaded once (codecs above all) is no attack's doing."""
        for query in WARM_UP if self.is_listen else ("",):
            async with await self.session(query) as peer:
                await peer.send(
                    frame(BINARY, aac_messages(bytes(8_192), 16_000)[0]) + frame(BINARY, b"\1" + bytes(6_400))
                )
                await peer.send(frame(TEXT, b'{"type":"close"}'))
                await peer.hear(lambda heard: heard.close_code is not None or heard.last("ack") is not None)

    async def alive(self, peer: Peer) -> str:
        """Whether a socket still serves: `open` if audio is acknowledged, else what became of it."""
        before = (peer.heard.last("ack") or {"offset": 0})["offset"]
        flush = frame(TEXT, b'{"type":"finalize"}')
        await peer.send(frame(BINARY, bytes(6_400)) + flush)
        heard = await peer.hear(
            lambda heard: (
                heard.close_code is not None or (heard.last("ack") or {"offset": 0})["offset"] > before
            )
        )
        return str(heard)

    # -- processes ---------------------------------------------------------------------------------------------------

    def _command(self) -> list[str]:
        if self.is_listen:
            return [sys.executable, "-m", "listen"]
        module = "tapedeck_testing.hostile.sinks"
        return [sys.executable, "-m", module, self.kind, str(self.port), str(self.admin_port)]

    def _settings(self) -> dict[str, str]:
        if self.redis is None:
            support = str(Path(__file__).parents[2])
            return {
                "PYTHONPATH": os.pathsep.join([support, os.environ.get("PYTHONPATH", "")]),
                **self._environ,
            }
        secret = self._folder / "secret"
        secret.write_text(SECRET)
        settings = {
            "TAPEDECK_REDIS_URL": self.redis.url,
            "TAPEDECK_REDIS_PREFIX": f"t{uuid.uuid4().hex[:12]}:",
            "TAPEDECK_AUTH": "dev",
            "TAPEDECK_JWT_SECRET_FILE": str(secret),
            "TAPEDECK_LISTEN_BIND": f"127.0.0.1:{self.port}",
            "TAPEDECK_ADMIN_BIND": f"127.0.0.1:{self.admin_port}",
            "TAPEDECK_ALLOWED_ORIGINS": "https://app.example",
            "TAPEDECK_CHUNK_MS": "200",  # an ack five times a second, to see how neighbours fare
            "TAPEDECK_DRAIN_SECONDS": "5",
            **self._environ,
        }
        return {name: value for name, value in settings.items() if value}

    async def _answers(self) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                async with await Peer.connect(self.admin_port) as admin:
                    await admin.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    if (await admin.ending()).status == 200:
                        async with await self.connect():
                            return
            except ConnectionError:
                pass
            if self.process_ended or time.monotonic() > deadline:
                raise RuntimeError(f"{self.kind} did not become ready:\n{self.log()[-4000:]}")
            await asyncio.sleep(0.02)

    @property
    def process_ended(self) -> bool:
        """Whether it is gone: no client may bring that about."""
        return self._process is None or self._process.poll() is not None

    def _begin(self) -> None:
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), env={**os.environ, **self._settings()}, stdout=log, stderr=log
            )

    def _end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def query(**parameters: str) -> str:
    """A query string."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
