"""What a client sends for a stream that has its whole answer, or that never could have one."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import pytest


async def refuses(scope, receive, send):
    """Answers without reading."""
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 413, "headers": []})
    await send({"type": "http.response.body", "body": b"no", "more_body": False})


class Client:
    """One connection."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url)
        config = h2.config.H2Configuration(
            client_side=True, header_encoding=None, validate_outbound_headers=False
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.seen: list[h2.events.Event] = []

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.host.hostname, self.host.port)

    def ask(self, stream: int, *, ends: bool, **others: bytes | None) -> None:
        """A request; `others`: its method, or its path, is another, or not there."""
        asked = {"method": b"POST", "scheme": b"http", "authority": self.host.netloc.encode(), "path": b"/"}
        if others.get("method") == b"CONNECT":
            asked.pop("scheme")
        headers = [(f":{name}".encode(), value) for name, value in (asked | others).items() if value]
        self.h2.send_headers(stream, headers, end_stream=ends)

    async def until(self, found: Callable[[h2.events.Event], bool]) -> None:
        async with asyncio.timeout(60):
            self.writer.write(self.h2.data_to_send())
            while not any(found(event) for event in self.seen):
                data = await self.reader.read(65_536)
                assert data, "the connection has ended"
                self.seen += self.h2.receive_data(data)
                self.writer.write(self.h2.data_to_send())

    async def ended(self, stream: int) -> None:
        kinds = (h2.events.StreamEnded, h2.events.StreamReset)
        await self.until(lambda event: isinstance(event, kinds) and event.stream_id == stream)

    def kinds(self, stream: int) -> list[str]:
        return [type(event).__name__ for event in self.seen if getattr(event, "stream_id", None) == stream]


async def test_a_body_that_comes_after_the_answer_harms_no_other_stream(served):
    async with served(refuses) as url:
        client = Client(url)
        await client.open()
        client.ask(1, ends=False)
        await client.ended(1)
        # More than the window of the connection: what nobody reads is given back.
        for _ in range(20):
            room = min(client.h2.local_flow_control_window(1), 16_384)
            client.h2.send_data(1, bytes(room), end_stream=False)
            client.h2.ping(b"still up")
            client.seen.clear()
            await client.until(lambda event: isinstance(event, h2.events.PingAckReceived))
        client.h2.end_stream(1)
        client.ask(3, ends=True)
        await client.ended(3)
        assert "StreamEnded" in client.kinds(3)
        client.writer.close()


@pytest.mark.parametrize(
    "others", [{"path": b"/\xff"}, {"method": b"\xff"}, {"method": b"CONNECT", "path": None}], ids=str
)
async def test_what_names_nothing_harms_no_other_stream(served, others):
    async with served(refuses) as url:
        client = Client(url)
        await client.open()
        client.ask(1, ends=others.get("method") != b"CONNECT", **others)
        await client.ended(1)
        client.ask(3, ends=True)
        await client.ended(3)
        assert "StreamReset" in client.kinds(1)
        assert "StreamEnded" in client.kinds(3)
        client.writer.close()
