"""A listen service of the test's own, on loopback, in this process or in another."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import jwt
from websockets.asyncio.client import connect

from audiobus import Bus, Conversation, decode_chunk
from audiocodec.span import Span
from listen.service import start
from listen.settings import ListenSettings
from servicekit.settings import load
from servicekit.stop import Stop
from tapedeck_testing.free_ports import free_port
from tapedeck_testing.listening.clients import Client

OPEN = ("tapedeck_connections", "tapedeck_handshakes", "tapedeck_strangers")
SECRET = "a secret that is long enough to sign with"


def token(uid: str = "alice", **claims: Any) -> str:
    return jwt.encode({"sub": uid, **claims}, SECRET, "HS256")


class Service:
    """A listen service of the test's own, in this process or another."""

    def __init__(self, redis_url: str, folder: Path, **environ: str) -> None:
        secret = folder / "secret"
        secret.write_text(SECRET)
        self.prefix = f"t{uuid.uuid4().hex[:12]}:"
        self.port, self.admin_port = free_port(), free_port()
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
    async def here(self, *, readiness: int = 200) -> AsyncIterator["Service"]:
        """Runs it in this process; inside once `/readyz` answers so, and clients can connect."""
        self.stop = Stop(5.0)
        running = asyncio.create_task(start(load(ListenSettings, self.environ), self.stop))
        try:
            await self.answers(running, readiness)
            yield self
        finally:
            self.stop.set()
            await running
            await self.bus.close()

    @asynccontextmanager
    async def process(
        self, stdout: int | IO[bytes] = subprocess.DEVNULL
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Runs it as a process, which the test may kill."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "listen", env={**os.environ, **self.environ}, stdout=stdout
        )
        try:
            await self.answers(process)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def answers(
        self, running: asyncio.Task[None] | asyncio.subprocess.Process, readiness: int = 200
    ) -> None:
        async with asyncio.timeout(60), httpx.AsyncClient() as http:
            while True:
                try:
                    if (await http.get(f"{self.admin}/readyz")).status_code == readiness:
                        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.close()
                        return
                except (httpx.TransportError, OSError):
                    if isinstance(running, asyncio.Task) and running.done():
                        await running
                    await asyncio.sleep(0.02)

    async def until_empty(self) -> None:
        """Until no socket is open, nor a handshake under way."""
        async with asyncio.timeout(25):
            while any(map((await self.metrics()).get, OPEN)):
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
