import asyncio
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.settings
import httpx
import pytest


class BreaksOff:
    """Begins an answer and leaves it, by an exception or without a word; `/whole` has its end."""

    def __init__(self, *, raises: bool, size: int):
        self.raises = raises
        self.size = size

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * self.size, "more_body": True})
        if scope["path"] == "/whole":
            await asyncio.sleep(0.05)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif self.raises:
            raise ConnectionError("broke off")


@pytest.mark.parametrize("size", [0, 3, 200_000])
@pytest.mark.parametrize("raises", [False, True])
async def test_a_broken_answer_is_reset_and_the_others_of_its_connection_live_on(served, raises, size):
    app = BreaksOff(raises=raises, size=size)
    async with served(app) as url, httpx.AsyncClient(http1=False, http2=True, timeout=10) as client:
        whole = asyncio.create_task(client.get(url + "/whole"))
        for _ in range(3):
            with pytest.raises(httpx.RemoteProtocolError, match="StreamReset"):
                await client.get(url + "/broken")
        assert len((await whole).content) == size
        assert len((await client.get(url + "/whole")).content) == size


@pytest.mark.parametrize("size", [0, 3, 200_000])
async def test_over_http_1_the_connection_is_closed(served, size):
    async with served(BreaksOff(raises=False, size=size)) as url, httpx.AsyncClient(timeout=10) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(url + "/broken")


async def accepts(scope, receive, send):
    """A WebSocket that is open until its client closes it."""
    assert scope["type"] == "websocket"
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def test_a_websocket_over_http_2_ends_with_its_close_frame(served):
    config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
    client = h2.connection.H2Connection(config)
    client.initiate_connection()
    seen: list[h2.events.Event] = []
    async with served(accepts) as url, asyncio.timeout(60):
        host = urlsplit(url)
        reader, writer = await asyncio.open_connection(host.hostname, host.port)

        async def until(kind: type[h2.events.Event]) -> None:
            writer.write(client.data_to_send())
            while not any(isinstance(event, kind) for event in seen):
                seen.extend(client.receive_data(await reader.read(65_536)))
                writer.write(client.data_to_send())

        await until(h2.events.RemoteSettingsChanged)
        asked = {
            ":method": "CONNECT",
            ":protocol": "websocket",
            ":scheme": "http",
            ":authority": host.netloc,
            ":path": "/",
            "sec-websocket-version": "13",
        }
        client.send_headers(1, list(asked.items()))
        await until(h2.events.ResponseReceived)
        client.send_data(1, bytes.fromhex("8882 00000000 03e8"))
        await until(h2.events.DataReceived)
        client.ping(b"still up")
        await until(h2.events.PingAckReceived)
        writer.close()
    assert [event.data for event in seen if isinstance(event, h2.events.DataReceived)] == [
        bytes.fromhex("880203e8")
    ]
    assert not any(isinstance(event, h2.events.StreamReset) for event in seen)
