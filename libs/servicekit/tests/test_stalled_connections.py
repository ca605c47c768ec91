"""Clients that read no more, and the ends of their connections."""

import asyncio
import socket
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.settings
import pytest

from servicekit.stalled_connections import UNSENT_BYTES, bound_unsent

BLOCK = b"x" * 65_536


class GivesUp:
    """Sends without end until its client has taken nothing for a while; then it breaks its answer off."""

    def __init__(self) -> None:
        self.stalled = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                async with asyncio.timeout(0.3):
                    await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
        except TimeoutError:
            self.stalled.set()


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of which nothing is read for now."""
    end = socket.socket()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    end.setblocking(False)
    host = urlsplit(url)
    await asyncio.get_running_loop().sock_connect(end, (host.hostname, host.port))
    reader, writer = await asyncio.open_connection(sock=end, limit=1)
    writer.transport.pause_reading()
    return reader, writer


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr("servicekit.stalled_connections.CLOSE_S", 0.2)
    monkeypatch.setattr("servicekit.broken_streams.RESET_S", 0.2)


async def test_over_http_1_the_connection_is_cut(served, soon):
    app = GivesUp()
    async with served(app) as url:
        _, writer = await connected(url)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await app.stalled.wait()
        await cut(writer)


async def test_over_http_2_the_connection_is_cut_where_nothing_of_it_is_read(served, soon):
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.local_settings = h2.settings.Settings(
        client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1}
    )
    client.initiate_connection()
    client.increment_flow_control_window(2**30)
    client.send_headers(
        1, [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "a")], end_stream=True
    )
    app = GivesUp()
    async with served(app) as url:
        _, writer = await connected(url)
        writer.write(client.data_to_send())
        await app.stalled.wait()
        await cut(writer)


async def cut(writer: asyncio.StreamWriter) -> None:
    """The server has cut the connection off: writing into it fails, though nothing of it was read."""

    async def write_on() -> None:
        while True:
            writer.write(b"\0")
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(write_on(), 60)
    writer.close()


def test_connections_inherit_what_the_kernel_may_hold():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        bound_unsent(listening)
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_BYTES
