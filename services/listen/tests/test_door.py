"""The door: what stands before it, for how long, and what goes away with who leaves."""

import asyncio
import json
import re
import signal
import socket
import struct
from collections.abc import Callable

import pytest

from listen import door, server, wire
from tapedeck_testing.redis_process import RedisProcess

UPGRADE = (
    "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(server, "SWEEP_S", 0.02)


@pytest.fixture
async def knock(service):
    """Connects and sends; answers reader and writer."""
    writers = []

    async def connect(sent: bytes = b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writers.append(writer)
        writer.write(sent)
        return reader, writer

    yield connect
    for writer in writers:
        writer.transport.abort()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], dict]:
    """The whole answer: the connection ends with it."""
    async with asyncio.timeout(60):
        received = await reader.read()
    head, _, body = received.decode().partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    assert headers["connection"] == "close"
    return int(status.split()[1]), headers, json.loads(body)


def handshake(service, path: str = "/v4/listen", *lines: str) -> bytes:
    return (f"GET {path} HTTP/1.1\r\n{UPGRADE}" + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()


async def ended(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionError:
        return b""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def admissions() -> list[asyncio.Task]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "admission"]


async def test_a_head_may_come_byte_by_byte(service, knock, sign):
    reader, writer = await knock()
    for byte in handshake(service, "/v4/listen", f"Authorization: Bearer {sign()}"):
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


async def test_what_comes_right_behind_the_head_is_taken(raw):
    frame = b"\x81\x90" + bytes(4) + b'{"type":"close"}'
    client, _ = await raw(after=frame)
    assert await client.close_code() == 1000


async def test_a_head_that_is_too_long_is_431(knock):
    reader, _ = await knock(b"GET /v4/listen HTTP/1.1\r\nX: " + b"x" * 33_000)
    status, _, problem = await answer(reader)
    assert (status, problem["code"]) == (431, "too_big")
    reader, _ = await knock(b"GET /v4/listen HTTP/1.1\r\nX: " + b"x" * 33_000 + b"\r\n\r\n")
    assert (await answer(reader))[0] == 431


async def test_a_head_that_takes_too_long_is_408_and_silence_just_ends(service, knock, monkeypatch):
    monkeypatch.setattr(door, "HEAD_S", 0.1)
    slow, _ = await knock(b"GET /v4/lis")
    silent, _ = await knock()
    assert (await answer(slow))[0] == 408
    assert await ended(silent) == b""
    assert (await service.metrics())['tapedeck_refused_total{reason="too_slow"}'] == 1


@pytest.mark.parametrize("path", ["/", "/v4/nothing", "/v4/listen/", "/v4%2Flisten"])
async def test_another_path_is_404(service, knock, path):
    reader, _ = await knock(handshake(service, path, "X-Request-Id: the-id-of-mine"))
    status, headers, problem = await answer(reader)
    assert (status, problem["code"]) == (404, "not_found")
    assert headers["x-request-id"] == problem["request_id"] == "the-id-of-mine"


async def test_what_is_no_handshake_is_told_so(service, knock):
    wrong = handshake(service).replace(b"Version: 13", b"Version: 8")
    status, headers, _ = await answer((await knock(wrong))[0])
    assert (status, headers["sec-websocket-version"]) == (426, "13")
    for sent in (handshake(service).replace(b"AAAA==", b""), b"\x16\x03\x01\r\n\r\n"):
        status, headers, problem = await answer((await knock(sent))[0])
        assert (status, problem["code"]) == (400, "bad_request")
        assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])
    assert (await service.metrics())['tapedeck_refused_total{reason="bad_request"}'] == 3


async def test_who_does_not_go_after_the_answer_is_ended(service, knock, monkeypatch):
    monkeypatch.setattr(door, "LINGER_S", 0.1)
    reader, writer = await knock(handshake(service, "/nowhere"))
    assert (await answer(reader))[0] == 404
    with pytest.raises(ConnectionError):  # noqa: PT012 - it shows in whichever comes first
        async with asyncio.timeout(60):
            while True:
                writer.write(bytes(1_000))
                await writer.drain()
                await asyncio.sleep(0.01)


async def test_an_answer_arrives_though_the_client_still_sends(knock):
    reader, writer = await knock(b"GET /v4/listen HTTP/1.1\r\nX: " + b"x" * 40_000)
    writer.write(b"x" * 2_000_000)
    assert (await answer(reader))[0] == 431


async def test_only_so_many_may_stand_there_silent_and_the_oldest_goes(make_service, sign):
    async with make_service(TAPEDECK_MAX_HANDSHAKES="5").here() as service:
        silent = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(12)]
        for reader, _ in silent[:7]:
            status, headers, problem = await answer(reader)
            assert (status, problem["code"]) == (503, "unavailable")
            assert int(headers["retry-after"]) > 0
        async with service.connect() as client:
            await client.hear("ready")
        assert not any(reader.at_eof() for reader, _ in silent[8:])
        assert (await service.metrics())['tapedeck_refused_total{reason="handshakes"}'] >= 7
        for _, writer in silent:
            writer.close()


async def test_only_so_many_refused_browsers_may_keep_their_socket_open(make_service, monkeypatch):
    monkeypatch.setattr(wire, "LINGER_S", 60.0)
    environ = {"TAPEDECK_MAX_HANDSHAKES": "5", "TAPEDECK_ALLOWED_ORIGINS": "https://app.example"}
    async with make_service(**environ).here() as service:
        clients = []
        for _ in range(12):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(handshake(service, "/v4/listen", "Origin: https://app.example"))
            await reader.readuntil(b"unauthorized")
            clients.append((reader, writer))
        for reader, _ in clients[:7]:
            await ended(reader)
        assert not any(reader.at_eof() for reader, _ in clients[7:])
        for _, writer in clients:
            writer.close()


async def test_a_connection_without_a_head_costs_no_task(service, knock):
    before = len(asyncio.all_tasks())
    for _ in range(50):
        await knock(b"GET")
    assert len(asyncio.all_tasks()) == before


async def test_who_leaves_during_admission_leaves_nothing(make_service, redis_process: RedisProcess, sign):
    async with make_service(url=redis_process.url).here() as service:
        redis_process.process.send_signal(signal.SIGSTOP)
        try:
            clients = []
            for how in ("close", "reset", "close", "reset"):
                reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
                writer.write(handshake(service, "/v4/listen", f"Authorization: Bearer {sign()}"))
                clients.append((how, reader, writer))
            await until(lambda: len(admissions()) == 4)
            for how, _, writer in clients:
                if how == "reset":
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.close()
            await until(lambda: not admissions())
        finally:
            redis_process.process.send_signal(signal.SIGCONT)
        await service.until_empty()
        assert await service.bus.live("alice") == []


async def test_a_defect_ends_one_socket_and_no_other(service, sign, second, monkeypatch):
    async with service.connect("conversation_id=well") as well:
        await well.hear("ready")
        with monkeypatch.context() as broken:
            broken.setattr(wire.Wire, "_assemble", lambda *_args, **_named: 1 / 0)
            async with service.connect("conversation_id=broken") as client:
                await client.hear("ready")
                await client.say(type="keepalive")
                assert await client.closed() == 1011
                assert client.codes == ["internal"]
        await well.send(second)
        await well.say(type="close")
        assert await well.closed() == 1000


async def test_a_defect_in_admission_is_500(service, sign, monkeypatch):
    from listen import reception  # noqa: PLC0415 - to break it

    monkeypatch.setattr(reception, "SocketEncoder", lambda *_args, **_named: 1 / 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(handshake(service, "/v4/listen", f"Authorization: Bearer {sign()}"))
    status, _, problem = await answer(reader)
    assert (status, problem["code"]) == (500, "internal")
    writer.close()
    async with service.connect(headers={"Origin": "https://app.example"}) as client:
        assert await client.closed() == 1011
    await service.until_empty()


async def test_addresses_are_those_behind_trusted_proxies(make_service, sign):
    environ = {"TAPEDECK_MAX_SOCKETS_PER_ADDRESS": "1", "TAPEDECK_TRUSTED_PROXIES": "127.0.0.0/8"}
    async with make_service(**environ).here() as service:
        forwarded = {"X-Forwarded-For": "6.6.6.6, 198.51.100.7"}
        async with service.connect(headers=forwarded) as first:
            await first.hear("ready")
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            lines = [f"{name}: {value}" for name, value in forwarded.items()]
            writer.write(handshake(service, "/v4/listen", f"Authorization: Bearer {sign()}", *lines))
            assert (await answer(reader))[0] == 429
            writer.close()
            async with service.connect(headers={"X-Forwarded-For": "198.51.100.8"}) as other:
                await other.hear("ready")
