"""Clients of a running service: one that speaks the protocol, and one that speaks frames by hand and is not polite."""

import asyncio
import json
import struct
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed


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
        async with asyncio.timeout(60):
            while True:
                text: dict[str, Any] = json.loads(await self.socket.recv())
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
        async with asyncio.timeout(60):
            try:
                while True:
                    self.texts.append(json.loads(await self.socket.recv()))
            except ConnectionClosed:
                assert self.socket.close_code is not None
                return self.socket.close_code

    @property
    def codes(self) -> list[str]:
        return [text["code"] for text in self.texts if text["type"] == "error"]


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
