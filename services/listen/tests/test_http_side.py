"""HTTP on the sockets' port, and WebSockets that come that way."""

import asyncio
from contextlib import suppress

import h2.config
import h2.connection
import h2.errors
import h2.events
import httpx

from listen.http_side import HttpSide
from listen.metrics import ListenMetrics
from servicekit.metrics import Metrics


async def test_one_request_a_connection_so_that_no_proxy_sends_a_socket_after_it(service, sign):
    async with httpx.AsyncClient(base_url=service.http) as http:
        answer = await http.post("/v1/tickets", headers={"Authorization": f"Bearer {sign()}"})
        assert answer.status_code == 201
        assert answer.headers["connection"] == "close"
        assert (await http.get("/nowhere")).headers["connection"] == "close"


async def test_a_request_may_come_in_pieces(service, sign):
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    request = f"POST /v1/tickets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sign()}\r\nContent-Length: 4\r\n\r\nbody"
    for byte in request.encode():
        writer.write(bytes([byte]))
        await writer.drain()
    async with asyncio.timeout(60):
        assert (await reader.read()).startswith(b"HTTP/1.1 201 ")
    writer.close()


async def test_http_2_is_told_to_use_http_1(service):
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    writer.write(connection.data_to_send())
    async with asyncio.timeout(60):
        events = connection.receive_data(await reader.read())
    (gone,) = [event for event in events if isinstance(event, h2.events.ConnectionTerminated)]
    assert gone.error_code == h2.errors.ErrorCodes.HTTP_1_1_REQUIRED
    writer.close()


async def test_a_wish_for_http_2_is_ignored(service):
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    wish = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    writer.write(f"GET /nowhere HTTP/1.1\r\nHost: x\r\n{wish}\r\n".encode())
    async with asyncio.timeout(60):
        assert (await reader.read()).startswith(b"HTTP/1.1 404 ")
    writer.close()


async def test_one_connection_too_many_is_ended_and_counted():
    registry = Metrics("listen", "0")
    asked, answer = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        asked.set()
        await answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    http = HttpSide(app, limit=1, metrics=ListenMetrics(registry))
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    server = await asyncio.start_server(
        lambda _, writer: http.take(writer.transport, request), "127.0.0.1", 0
    )
    address = server.sockets[0].getsockname()
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(*address)
        await asked.wait()
        late_reader, late_writer = await asyncio.open_connection(*address)
        with suppress(ConnectionResetError):
            assert await late_reader.read() == b""
        answer.set()
        assert (await reader.read()).startswith(b"HTTP/1.1 204 ")
        await http.close()
    assert b'tapedeck_refused_total{reason="handshakes"} 1.0' in registry.render()
    for one in (writer, late_writer):
        one.close()
    server.close()


async def test_the_end_waits_for_no_idle_connection(make_service):
    async with make_service().here() as service:
        _, silent = await asyncio.open_connection("127.0.0.1", service.port)
        reader, half = await asyncio.open_connection("127.0.0.1", service.port)
        half.write(b"POST /v1/tickets HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        async with asyncio.timeout(60):
            assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    silent.close()
    half.close()
