"""What a hostile client, or one that is gone, must not be able to do."""

import asyncio
import os
import socket
import struct
import time

import psutil
import pytest

from listen import bounded_stream, connection, outgoing


class Raw:
    """A client that speaks WebSocket frames by hand, and is not polite."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def frame(self, opcode: int, payload: bytes, *, final: bool = True) -> bytes:
        """A masked frame (RFC 6455 §5.2); the mask is zero."""
        head = bytes([opcode | (0x80 if final else 0)])
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


@pytest.fixture
async def raw(service, sign):
    """Opens sockets by hand; answers one with the handshake done."""
    writers = []

    async def open_socket(query: str = "codec=opus", headers: str = "") -> tuple[Raw, str]:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", service.port))
        reader, writer = await asyncio.open_connection(sock=client)
        writers.append(writer)
        writer.write(
            f"GET /v4/listen?{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Protocol: tapedeck.v1\r\nAuthorization: Bearer {sign()}\r\n{headers}\r\n".encode()
        )
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert answer.startswith("HTTP/1.1 101")
        return Raw(reader, writer), answer

    yield open_socket
    for writer in writers:
        writer.transport.abort()


async def count(service) -> float:
    return (await service.metrics())["tapedeck_connections"]


async def until_empty(service) -> None:
    async with asyncio.timeout(10):
        while await count(service):
            await asyncio.sleep(0.02)


async def test_a_message_may_come_in_fragments(service, raw, packets):
    client, _ = await raw("codec=opus&conversation_id=fragments")
    await client.read_frame()  # ready: audio before it would be left out
    packet = packets[0]
    client.writer.write(client.frame(2, packet[:5], final=False) + client.frame(9, b"ping"))
    client.writer.write(client.frame(0, packet[5:9], final=False) + client.frame(0, packet[9:]))
    client.writer.write(client.frame(2, packets[1]))
    client.writer.write(client.frame(1, b'{"type":', final=False) + client.frame(0, b'"close"}'))
    assert await client.close_code() == 1000
    (span,) = await service.spans("fragments")
    assert span.packets == (packet, packets[1])


async def test_no_compression_is_agreed_on(raw):
    _, answer = await raw(headers="Sec-WebSocket-Extensions: permessage-deflate\r\n")
    assert "extensions" not in answer.lower()


@pytest.mark.parametrize("kind", ["binary", "text", "fragments"])
async def test_who_sends_a_message_over_every_limit_is_closed_at_once(service, kind):
    async with service.connect() as client:
        await client.hear("ready")
        began = time.monotonic()
        if kind == "fragments":
            await client.socket.send([bytes(50_000)] * 12)
        else:
            await client.socket.send(bytes(600_000) if kind == "binary" else "x" * 600_000)
        assert await client.closed() == 1009
        assert client.codes == ["too_big"]
        assert time.monotonic() - began < 2
    await until_empty(service)


async def test_an_endless_message_costs_no_memory_and_ends(service, raw, monkeypatch):
    monkeypatch.setattr(connection, "LINGER_S", 0.2)
    client, _ = await raw()
    before = psutil.Process().memory_info().rss
    piece = client.frame(0, os.urandom(60_000), final=False)
    client.writer.write(client.frame(2, b"x", final=False))

    pouring = asyncio.create_task(client.pour(piece))
    async with asyncio.timeout(15):
        assert await client.close_code() == 1009
        await client.gone()
    pouring.cancel()
    await asyncio.wait([pouring])
    assert psutil.Process().memory_info().rss - before < 50_000_000
    await until_empty(service)


async def test_a_client_that_never_answers_the_close_is_let_go(service, raw, monkeypatch):
    monkeypatch.setattr(connection, "LINGER_S", 0.2)
    client, _ = await raw()
    for _ in range(40):
        client.writer.write(client.frame(2, b"\xff\xff\xff"))
    client.writer.write(client.frame(1, b'{"type":"close"}'))
    for _ in range(40):
        client.writer.write(client.frame(2, b"\xff\xff\xff"))
    async with asyncio.timeout(5):
        assert await client.close_code() == 1000
        await client.gone()
    await until_empty(service)


async def test_a_client_that_reads_nothing_is_let_go(service, raw, monkeypatch):
    monkeypatch.setattr(outgoing, "SEND_TIMEOUT_S", 0.3)
    monkeypatch.setattr(connection, "LINGER_S", 0.2)
    client, _ = await raw()
    client.writer.transport.pause_reading()
    bad = client.frame(1, b"{") * 200
    pouring = asyncio.create_task(client.pour(bad))
    await until_empty(service)
    pouring.cancel()
    await asyncio.wait([pouring])


async def test_a_client_that_leaves_with_unread_messages_is_let_go(service, raw, packets):
    client, _ = await raw()
    client.writer.write(b"".join(client.frame(2, packet) for packet in packets * 4))
    client.writer.transport.abort()
    await until_empty(service)


async def test_a_client_from_which_nothing_comes_is_ended(service, raw, monkeypatch):
    monkeypatch.setattr(bounded_stream, "KEEPALIVE_S", 0.1)
    monkeypatch.setattr(bounded_stream, "SILENT_S", 0.5)
    client, _ = await raw()
    opcodes = []
    async with asyncio.timeout(5):
        try:
            while True:
                opcodes.append((await client.read_frame())[0])
        except asyncio.IncompleteReadError:
            pass
    assert opcodes.count(9) >= 3
    await until_empty(service)


async def test_pongs_are_a_sign_of_life(service, raw, monkeypatch):
    monkeypatch.setattr(bounded_stream, "KEEPALIVE_S", 0.05)
    monkeypatch.setattr(bounded_stream, "SILENT_S", 0.3)
    client, _ = await raw()
    pings = 0
    async with asyncio.timeout(5):
        while pings < 12:
            opcode, payload = await client.read_frame()
            if opcode == 9:
                pings += 1
                client.writer.write(client.frame(10, payload))
    assert await count(service) == 1
