"""A desk for sessions, a service with a real Redis and real sockets, and audio to send."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio

from audiocodec.encoder import Encoder
from tapedeck_testing import recordings
from tapedeck_testing.listening.clients import Raw
from tapedeck_testing.listening.desk import NOW_MS, Desk
from tapedeck_testing.listening.running_service import Service, token


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
