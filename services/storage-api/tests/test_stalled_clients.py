"""Clients that take nothing of their answers, whatever the route."""

import asyncio
import socket

import h2.connection
import h2.events
import h2.settings
import pytest

from storage_api.errors import StalledClientError
from storage_api.stalled_clients import SEND_BYTES, StalledClients

MANY = 1000
BROKE_OFF = "an answer broke off"


@pytest.fixture
def impatient(monkeypatch, caplog):
    monkeypatch.setattr("storage_api.stalled_clients.STALLED_S", 0.3)
    caplog.set_level("INFO", "storage_api.stalled_clients")


@pytest.fixture
async def many_chunks(store, conversation):
    """So many rows that no buffer of the kernel takes them: raw PCM of which the name and the size tell all."""
    for number in range(MANY):
        name = f"chunks/{conversation.tag}/{1_700_000_000 + number}.000.bin"
        await store.put(name, bytes(32), content_type="application/octet-stream", metadata={})


async def test_a_list_that_nobody_reads_is_broken_off(
    api, conversation, many_chunks, impatient, caplog, until
):
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop, url = asyncio.get_running_loop(), api.http.base_url
        await loop.sock_connect(client, (url.host, url.port))
        path = api.path(conversation, f"/chunks?page_size={MANY}")
        # Pipelined: the buffers of the kernel are full at some time.
        asked = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer all-token\r\n\r\n" * 20
        await loop.sock_sendall(client, asked.encode())
        await until(lambda: BROKE_OFF in caplog.messages, 30)
        # The connection ends: its client does not take a part for the whole.
        received = bytearray()
        while data := await loop.sock_recv(client, 65_536):
            received += data
    assert not received.endswith(b"}")
    assert api.services.metrics.stalled._value.get() == 1
    assert api.services.slots["lists"].running == 0
    assert not [one for one in caplog.records if one.levelname in ("ERROR", "CRITICAL")]
    assert (await api.get(conversation, "/chunks")).status_code == 200


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("GET", "/chunks"),
        ("GET", "/nothing"),
        ("DELETE", ""),
        ("DELETE", "/audio?end=1700000001"),
    ],
)
async def test_over_http_2_a_stream_without_a_window_is_reset(
    api, conversation, tape, pcm_tone, impatient, method, rest
):
    await tape.record(pcm_tone(2))
    await tape.drain(0, len(tape.chunks))
    client = h2.connection.H2Connection()
    client.local_settings = h2.settings.Settings(
        client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}
    )
    client.initiate_connection()
    url = api.http.base_url
    asked = {
        ":method": method,
        ":scheme": "http",
        ":authority": url.host,
        ":path": api.path(conversation, rest),
        "authorization": "Bearer all-token",
    }
    client.send_headers(1, list(asked.items()), end_stream=True)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    events: list[h2.events.Event] = []
    async with asyncio.timeout(60):
        while not any(isinstance(event, h2.events.StreamReset) for event in events):
            writer.write(client.data_to_send())
            events += client.receive_data(await reader.read(65_536))
    assert any(isinstance(event, h2.events.ResponseReceived) for event in events)
    assert not any(isinstance(event, h2.events.StreamEnded) for event in events)
    writer.close()
    assert {slots.running for slots in api.services.slots.values()} == {0}


async def sent_by(app, sends, on_stalled=lambda: None) -> None:
    await StalledClients(app, on_stalled)({"type": "http"}, None, sends)


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("size", [0, 1, SEND_BYTES, SEND_BYTES + 1, 3 * SEND_BYTES])
async def test_a_body_is_handed_on_in_pieces_and_whole(size, more):
    body, sent = bytes(range(256)) * (size // 256) + bytes(size % 256), []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": more})

    async def sends(message):
        sent.append(message)

    await sent_by(app, sends)
    start, *pieces = sent
    assert start["status"] == 200
    assert b"".join(piece["body"] for piece in pieces) == body
    assert max(len(piece["body"]) for piece in pieces) <= SEND_BYTES
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [more]


async def test_the_app_is_told(impatient, caplog):
    told = []

    async def app(_scope, _receive, send):
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        except StalledClientError:
            told.append(True)
            raise

    async def sends(_message):
        await asyncio.Event().wait()

    await sent_by(app, sends, lambda: told.append(False))
    assert told == [False, True]
    assert caplog.messages == [BROKE_OFF]


@pytest.mark.parametrize("waits", [0, 1, 3])
async def test_what_the_server_raises_is_raised_wherever_it_waited(waits):
    sent = []

    async def app(_scope, _receive, send):
        with pytest.raises(ConnectionResetError):
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def sends(message):
        for _ in range(waits):
            await asyncio.sleep(0)
        if message["type"] == "http.response.start":
            raise ConnectionResetError
        sent.append(message["type"])

    await sent_by(app, sends)
    assert sent == ["http.response.body"]


async def test_a_send_is_cancelled_where_it_waits():
    waiting, told = asyncio.Event(), []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def sends(_message):
        await asyncio.sleep(0)
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            told.append("cancelled")
            raise

    sending = asyncio.create_task(sent_by(app, sends))
    await waiting.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert told == ["cancelled"]
