"""The process is asked to end while clients download, and while it carries out an operation: `python -m storage_api` and SIGTERM."""

import asyncio
import json
import signal
import socket
from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import h2.settings
import httpx
import pytest

from audiobus import Conversation
from tapedeck_testing.storage_process import StorageProcess

DRAIN_S = 3
HOUR_MS = 3_600_000


@pytest.fixture
def service(tmp_path, redis_url, one_bus):
    started = StorageProcess(tmp_path, redis_url, one_bus.keys.prefix, TAPEDECK_DRAIN_SECONDS=str(DRAIN_S))
    yield started
    started.kill()


@pytest.fixture
async def an_hour(tape, pcm_tone, api, conversation) -> tuple[str, str]:
    """Path and token of 345 MB: no kernel holds so much."""
    for start_ms in (1_700_000_000_000, 1_700_000_000_000 + HOUR_MS):
        await tape.record(pcm_tone(1), start_ms=start_ms)
    return api.path(conversation, "/audio?format=wav&sample_rate=48000"), api.token(conversation.uid)


class Download:
    """A client that reads `a_second` bytes a second, at the most, of its answer; 0: none after the first."""

    def __init__(self, a_second: int) -> None:
        self._a_second = a_second
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._socket.setblocking(False)
        self.received = bytearray()
        self.reset = False

    async def begin(self, url: str, asked: bytes) -> None:
        """Until its answer has begun."""
        self._loop, host = asyncio.get_running_loop(), httpx.URL(url)
        await self._loop.sock_connect(self._socket, (host.host, host.port))
        await self._loop.sock_sendall(self._socket, asked)
        while not self.begun(await self.read()):
            pass

    def begun(self, data: bytes) -> bool:
        assert data.startswith(b"HTTP/1.1 200 "), data
        return True

    async def read(self) -> bytes:
        """Empty at the end of the connection."""
        try:
            data = await self._loop.sock_recv(self._socket, 4096)
        except ConnectionResetError:
            self.reset, data = True, b""
        self.received += data
        return data

    async def go_on(self) -> None:
        """As slowly as it does."""
        while not self._a_second or await self.read():
            await asyncio.sleep(4096 / self._a_second if self._a_second else 60)

    async def see_the_end(self) -> None:
        """Whatever the kernel has, up to the end of the connection."""
        with self._socket:
            while await self.read():
                pass


class Http2(Download):
    """Two streams of one connection. `window`: what the client takes of each without saying so."""

    def __init__(self, window: int) -> None:
        super().__init__(0)
        self.streams = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self.streams.local_settings = h2.settings.Settings(
            client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
        )
        self.events: list[h2.events.Event] = []

    def asks(self, url: str, path: str, token: str) -> bytes:
        self.streams.initiate_connection()
        self.streams.increment_flow_control_window(2**30)
        headers = {
            ":method": "GET", ":scheme": "http", ":authority": httpx.URL(url).netloc.decode(), ":path": path,
            "authorization": f"Bearer {token}",
        }  # fmt: skip
        for stream in (1, 3):
            self.streams.send_headers(stream, list(headers.items()), end_stream=True)
        return self.streams.data_to_send()

    def begun(self, data: bytes) -> bool:
        self.events += self.streams.receive_data(data)
        return sum(isinstance(event, h2.events.ResponseReceived) for event in self.events) == 2

    async def see_the_end(self) -> None:
        at = len(self.received)
        await super().see_the_end()
        self.events += self.streams.receive_data(bytes(self.received[at:]))


async def test_downloads_go_on_for_a_while_and_are_broken_off_in_time(service, an_hour):
    path, token = an_hour
    await service.answers(f"{service.admin}/readyz")
    by_version = {
        version: f"GET {path} HTTP/{version}\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        for version in ("1.0", "1.1")
    }
    slow = Download(40_000)
    stalled, old = [Download(0) for _ in range(4)], Download(0)
    over_2 = [Http2(window) for window in (0, 65_535, 2**31 - 1)]
    async with asyncio.timeout(60):
        for one in (slow, *stalled):
            await one.begin(service.url, by_version["1.1"])
        await old.begin(service.url, by_version["1.0"])
        for two in over_2:
            await two.begin(service.url, two.asks(service.url, path, token))
        before = len(slow.received)
        reading = asyncio.create_task(slow.go_on())
        service.process.send_signal(signal.SIGTERM)
        async with httpx.AsyncClient() as http:
            while (await http.get(f"{service.admin}/readyz")).status_code != 503:
                await asyncio.sleep(0.01)
        at_unready = len(slow.received)
        code = await asyncio.to_thread(service.process.wait, 30)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        for client in (slow, *stalled, old, *over_2):
            await client.see_the_end()
    said = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert code == 0, said
    assert [line for line in said if line["severity"] in ("ERROR", "CRITICAL")] == []
    assert said[-1]["message"] == "ended"
    assert len(slow.received) > at_unready >= before
    for client in (slow, *stalled):
        head, _, body = bytes(client.received).partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        assert len(body) < length  # of an answer that tells its length the client misses the rest
    assert old.reset  # that a connection ends is all that HTTP/1.0 tells
    for two in over_2:
        assert not any(isinstance(event, h2.events.StreamEnded) for event in two.events)


async def test_an_operation_is_given_back_at_once_though_somebody_downloads(
    service, an_hour, api, tape_for, pcm_tone, one_bus, conversation
):
    """Not when the last download ends: whoever else is there goes on with it."""
    path, token = an_hour
    sources = [Conversation(conversation.uid, cid) for cid in ("a", "b")]
    for number, one in enumerate(sources):
        # Their sessions have not ended: a merge waits for what they may still bring.
        await tape_for(one).record(pcm_tone(1), start_ms=1_600_000_000_000 + 10_000 * number)
    await service.answers(f"{service.admin}/readyz")
    stalled = Download(0)
    asked = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers) as http, asyncio.timeout(60):
        await stalled.begin(service.url, asked.encode())
        merge = {"sources": [one.cid for one in sources], "target": "all", "delete_sources": True}
        answer = await http.post(f"{service.url}/v1/users/{conversation.uid}/conversations:merge", json=merge)
        assert answer.status_code == 202, answer.text
        key = one_bus.keys.operation(answer.json()["id"])
        while not await one_bus.command("HEXISTS", key, "holder"):
            await asyncio.sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
        while await one_bus.command("HEXISTS", key, "holder"):
            await asyncio.sleep(0.01)
        assert service.process.poll() is None, "it was given back only at the end"
        assert (await api.http.get(answer.headers["location"], headers=headers)).json()["done"] is False
        assert await asyncio.to_thread(service.process.wait, 30) == 0
        await stalled.see_the_end()
    assert "CRITICAL" not in service.log.read_text()
