"""A WebSocket by hand, byte for byte: for what a library hides, as pings and silence (RFC 6455 §4, §5)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, Self

from tapedeck_testing.protocol.listen_process import ListenProcess

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What RFC 6455 §1.3 says that answers this key."""
V1: Final = "Sec-WebSocket-Protocol: tapedeck.v1\r\n"


class RawSocket:
    """A connection, and what is read from it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def dial(cls, listen: ListenProcess) -> AsyncIterator[Self]:
        """Connects, and says nothing."""
        reader, writer = await asyncio.open_connection("127.0.0.1", listen.port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, listen: ListenProcess, query: str = "") -> AsyncIterator[Self]:
        """Does the handshake."""
        async with cls.dial(listen) as raw:
            raw.writer.write(handshake(listen.port, listen.token(), query))
            head = (await raw.head()).decode()
            assert head.startswith("HTTP/1.1 101 "), head
            assert ACCEPT in head
            yield raw

    async def head(self) -> bytes:
        """The answer to the handshake, up to its empty line."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """What still comes until the end of the connection."""
        return await self._reader.read()

    async def frame(self) -> tuple[int, bytes]:
        """The first byte and the payload of the next frame; the server masks nothing."""
        first, size = await self._reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await self._reader.readexactly(2))
        return first, await self._reader.readexactly(size)


def handshake(port: int, token: str, query: str = "", *, plain: bool = False) -> bytes:
    """The request of a client."""
    return (
        f"GET /v4/listen?{query} HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "Connection: Upgrade\r\n"
        "Upgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\n"
        f"{'' if plain else V1}"
        f"Authorization: Bearer {token}\r\n"
        "\r\n"
    ).encode()


def masked(first: int, payload: bytes, mask: bytes) -> bytes:
    """A client's frame."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126, size >> 8, size & 255])
    return bytes([first]) + length + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
