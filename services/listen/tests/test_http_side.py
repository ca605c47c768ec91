"""HTTP on the sockets' port, and WebSockets that come that way."""

import asyncio
import json

import h2.config
import h2.connection
import h2.events
import h2.settings
import httpx


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
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 201 ")
    writer.close()


async def test_http_2_has_tickets_and_no_sockets(service, sign):
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    common = [(":scheme", "http"), (":authority", "x"), ("authorization", f"Bearer {sign()}")]
    connection.send_headers(1, [(":method", "POST"), (":path", "/v1/tickets"), *common], end_stream=True)
    upgrade = [(":method", "CONNECT"), (":protocol", "websocket"), (":path", "/v4/listen"), *common]
    connection.send_headers(3, [*upgrade, ("sec-websocket-version", "13")])
    writer.write(connection.data_to_send())
    statuses, bodies = {}, {1: b"", 3: b""}
    async with asyncio.timeout(10):
        ended = set()
        while ended != {1, 3}:
            for event in connection.receive_data(await reader.read(65_536)):
                if isinstance(event, h2.events.ResponseReceived):
                    statuses[event.stream_id] = dict(event.headers)[b":status"]
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
            writer.write(connection.data_to_send())
    assert statuses == {1: b"201", 3: b"501"}
    assert json.loads(bodies[3])["code"] == "not_supported"
    writer.close()


async def test_the_end_waits_for_no_idle_connection(make_service):
    async with make_service().here() as service:
        _, silent = await asyncio.open_connection("127.0.0.1", service.port)
        reader, half = await asyncio.open_connection("127.0.0.1", service.port)
        half.write(b"POST /v1/tickets HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    silent.close()
    half.close()
