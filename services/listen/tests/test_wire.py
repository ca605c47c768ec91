"""One WebSocket: frames of every kind, and what a hostile client, or one that is gone, must not be able to do."""

import asyncio
import os

import psutil
import pytest

from listen import server, wire
from listen.floods import Floods


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(server, "SWEEP_S", 0.05)


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
async def test_who_sends_a_message_over_every_limit_is_closed_at_once(service, kind, monkeypatch):
    monkeypatch.setattr(wire, "LINGER_S", 300.0)
    async with service.connect() as client:
        await client.hear("ready")
        if kind == "fragments":
            await client.socket.send([bytes(50_000)] * 12)
        else:
            await client.socket.send(bytes(600_000) if kind == "binary" else "x" * 600_000)
        assert await client.closed() == 1009
        assert client.codes == ["too_big"]
    await service.until_empty()


async def test_an_endless_message_costs_no_memory_and_ends(service, raw, monkeypatch):
    monkeypatch.setattr(wire, "LINGER_S", 0.2)
    client, _ = await raw()
    before = psutil.Process().memory_info().rss
    piece = client.frame(0, os.urandom(60_000), final=False)
    client.writer.write(client.frame(2, b"x", final=False))

    pouring = asyncio.create_task(client.pour(piece))
    async with asyncio.timeout(60):
        assert await client.close_code() == 1009
        await client.gone()
    pouring.cancel()
    await asyncio.wait([pouring])
    assert psutil.Process().memory_info().rss - before < 50_000_000
    await service.until_empty()


async def test_a_client_that_never_answers_the_close_is_let_go(service, raw, monkeypatch):
    monkeypatch.setattr(wire, "LINGER_S", 0.2)
    client, _ = await raw()
    for _ in range(40):
        client.writer.write(client.frame(2, b"\xff\xff\xff"))
    client.writer.write(client.frame(1, b'{"type":"close"}'))
    for _ in range(40):
        client.writer.write(client.frame(2, b"\xff\xff\xff"))
    async with asyncio.timeout(60):
        assert await client.close_code() == 1000
        await client.gone()
    await service.until_empty()


async def test_a_client_that_reads_nothing_is_let_go(service, raw, monkeypatch):
    monkeypatch.setattr(wire, "LINGER_S", 0.2)
    client, _ = await raw()
    client.writer.transport.pause_reading()
    bad = client.frame(1, b"{") * 200
    pouring = asyncio.create_task(client.pour(bad))
    await service.until_empty()
    pouring.cancel()
    await asyncio.wait([pouring])


async def test_a_plain_client_need_never_read(service, raw, packets, monkeypatch):
    monkeypatch.setattr(wire, "WRITE_BYTES_LIMIT", 2_048)
    monkeypatch.setattr(wire, "KEEPALIVE_S", 0.1)
    client, _ = await raw("codec=opus&conversation_id=deaf", plain=True)
    client.writer.transport.pause_reading()
    # each gets an error, all together more than the kernel's buffers hold
    client.writer.write(client.frame(1, b"{") * 4_000)
    async with asyncio.timeout(60):
        rejected = 'tapedeck_messages_rejected_total{reason="bad_json"}'
        while (await service.metrics())[rejected] < 4_000:
            await asyncio.sleep(0.05)
    client.writer.write(b"".join(client.frame(2, packet) for packet in packets[:100]))
    async with asyncio.timeout(60):
        while sum(len(span.packets) for span in await service.spans("deaf")) < 100:
            await asyncio.sleep(0.02)
    assert (await service.metrics())["tapedeck_connections"] == 1


async def test_a_plain_client_that_answers_no_ping_is_sent_nothing_until_it_does(service, raw, monkeypatch):
    monkeypatch.setattr(wire, "KEEPALIVE_S", 0.05)
    client, _ = await raw(plain=True)
    pings, errors = [], 0
    async with asyncio.timeout(60):
        while len(pings) < 5:
            opcode, payload = await client.read_frame()
            pings += [payload] if opcode == 9 else []
        client.writer.write(client.frame(1, b"{"))
        rejected = 'tapedeck_messages_rejected_total{reason="bad_json"}'
        while (await service.metrics())[rejected] < 1:
            await asyncio.sleep(0.02)
        client.writer.write(client.frame(10, pings[-1]) + client.frame(1, b"{"))
        while (await client.read_frame())[0] != 1:
            pass  # pings
        while (await service.metrics())[rejected] < 2:
            errors += (await client.read_frame())[0] == 1
    assert errors == 0  # the first one was not sent


async def test_a_client_that_leaves_with_unread_messages_is_let_go(service, raw, packets):
    client, _ = await raw()
    client.writer.write(b"".join(client.frame(2, packet) for packet in packets * 4))
    client.writer.transport.abort()
    await service.until_empty()


async def test_a_client_from_which_nothing_comes_is_ended(service, raw, monkeypatch):
    monkeypatch.setattr(wire, "KEEPALIVE_S", 0.1)
    monkeypatch.setattr(wire, "SILENT_S", 1.5)
    client, _ = await raw()
    opcodes = []
    async with asyncio.timeout(60):
        try:
            while True:
                opcodes.append((await client.read_frame())[0])
        except asyncio.IncompleteReadError:
            pass
    assert opcodes.count(9) >= 3
    await service.until_empty()


async def test_pongs_are_a_sign_of_life(service, raw, monkeypatch):
    monkeypatch.setattr(wire, "KEEPALIVE_S", 0.05)
    monkeypatch.setattr(wire, "SILENT_S", 1.0)
    client, _ = await raw()
    pings = 0
    async with asyncio.timeout(60):
        while pings < 30:
            opcode, payload = await client.read_frame()
            if opcode == 9:
                pings += 1
                client.writer.write(client.frame(10, payload))
    assert (await service.metrics())["tapedeck_connections"] == 1


class Heard:
    """A receiver that closes the wire when it is told to, and remembers all else."""

    def __init__(self) -> None:
        self.messages: list[bytes | str] = []
        self.wire: wire.Wire | None = None
        self.over = asyncio.Event()

    def binary(self, data: bytes) -> None:
        self.messages.append(data)

    def text(self, text: str) -> None:
        self.messages.append(text)
        self.wire.close(1000)

    def failed(self, code: int, reason: str) -> None:
        self.wire.close(code)

    def gone(self) -> None:
        self.over.set()


def masked(opcode: int, payload: bytes) -> bytes:
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


@pytest.mark.parametrize(
    ("last", "heard", "code"),
    [
        (masked(8, b"\x03\xe8"), [b"first"], 1000),
        (masked(1, b"\xff"), [b"first"], 1007),
        (masked(1, b"close"), [b"first", "close"], 1000),
    ],
    ids=["close", "no text", "we close"],
)
async def test_what_comes_after_the_end_while_nothing_is_read_is_thrown_away(last, heard, code):
    receiver = Heard()
    frames = masked(2, b"first") + last + masked(2, b"late") + masked(9, b"") + masked(2, b"later")

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        transport.pause_reading()
        receiver.wire = wire.Wire(transport, receiver, 0.0, Floods())
        receiver.wire.accept("AAAAAAAAAAAAAAAAAAAAAA==", "tapedeck.v1", frames)
        receiver.wire.resume()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with asyncio.timeout(60):
        await reader.readuntil(b"\r\n\r\n")
        while (head := await reader.readexactly(2))[0] != 0x88:
            await reader.readexactly(head[1])
        assert int.from_bytes((await reader.readexactly(head[1]))[:2]) == code
        writer.close()
        await receiver.over.wait()
    assert receiver.messages == heard
    server.close()
