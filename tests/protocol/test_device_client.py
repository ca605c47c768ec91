"""The example client for devices: short, and right through kills."""

import asyncio
import json
import time
from urllib.parse import urlsplit

import pytest

from tapedeck_testing.account import assert_stored_once, flush, objects, packets_back
from tapedeck_testing.example_device import EXAMPLE, Microphone, load
from tapedeck_testing.recordings import opus_packets


@pytest.fixture(scope="module")
def device():
    return load()


class Handshakes:
    """Makes requests, and knows how many there were, and for which sessions."""

    def __init__(self, token, query):
        self.token, self.query, self.sessions = token, query, []

    def __call__(self, session):
        self.sessions.append(session)
        return (
            f"GET /v4/listen?{self.query}&session={session} HTTP/1.1\r\nHost: device\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Protocol: tapedeck.v1\r\nAuthorization: Bearer {self.token}\r\n\r\n"
        ).encode()


def test_the_example_is_short():
    code = EXAMPLE.read_text(encoding="utf-8").split('"""', 2)[2]
    lines = [line for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) <= 60


async def test_it_resumes_after_kills(start_stack, device):
    """client.drops, code.again, mark.again: listen is killed three times; every packet is stored once, at its time."""
    stack = start_stack(environ={"TAPEDECK_BATCH_SECONDS": "4"})
    packets = opus_packets(12, seed=8)
    start_ms = int(time.time() * 1000) - 60_000
    microphone = Microphone(packets, start_ms)
    handshakes = Handshakes(stack.user_token("device"), "codec=opus&conversation_id=porch")
    url = urlsplit(stack.facts["listen"])
    running = asyncio.create_task(
        asyncio.to_thread(device.record, (url.hostname, url.port), handshakes, microphone)
    )
    for kills, limit in enumerate((130, 310, 460)):
        microphone.limit = limit
        while microphone.given < limit or len(handshakes.sessions) <= kills:
            assert not running.done()
            await asyncio.sleep(0.01)
        assert stack.kill("listen")
    microphone.limit = len(packets)
    async with asyncio.timeout(60):
        assert await running == 1000
    assert len(handshakes.sessions) >= 4
    assert set(handshakes.sessions[1:]) - {handshakes.sessions[-1], ""} == set()
    async with stack.http() as http:
        await flush(http, "device", "porch")
        assert await packets_back(http, "device", "porch") == packets
        about = (await http.get("/v1/users/device/conversations/porch")).json()
    assert len(objects(stack.store, "device", "porch")) >= 2
    assert_stored_once(stack.store, "device", "porch")
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start_ms // 1000)) in about["start"]
    assert about["recorded_seconds"] == pytest.approx(len(packets) * 0.02 - 0.0065, abs=0.001)


async def test_it_marks_holes(listen, device):
    """mark, client.drops: a hole in the recording is told by a mark; a token that is refused is asked for anew."""
    packets = opus_packets(2, seed=9)[:100]
    start_ms = int(time.time() * 1000) - 60_000
    recorded = [(start_ms + 20 * n + (5_000 if n >= 50 else 0), packet) for n, packet in enumerate(packets)]
    given = iter(recorded)
    handshakes = Handshakes("wrong", "codec=opus&conversation_id=holes")

    def handshake(session):
        request = handshakes(session)
        handshakes.token = listen.token("device")
        return request

    answer = await asyncio.to_thread(
        device.record, ("127.0.0.1", listen.port), handshake, lambda: next(given, None)
    )
    assert answer == 1000
    assert handshakes.sessions == ["", ""]
    runs = sorted({chunk.run_start_ms - start_ms for chunk in await listen.chunks("holes", "device")})
    # the first 312 samples of an encoder are no audio: the times are those of what is heard
    assert len(runs) == 2
    assert runs[1] - runs[0] == pytest.approx(6_000, abs=10)


@pytest.mark.parametrize(
    ("query", "code"), [("codec=mp3", 4400), ("codec=opus&conversation_id=gone", 4404)], ids=["http", "close"]
)
async def test_it_stops(listen, device, query, code):
    """code.stop: where trying again cannot help."""
    async with listen.bus() as bus:
        await bus.command("SET", f"{listen.prefix}tomb:{{device/gone}}", "1")
    handshakes = Handshakes(listen.token("device"), query)
    answer = await asyncio.to_thread(device.record, ("127.0.0.1", listen.port), handshakes, lambda: None)
    assert answer == code
    assert json.dumps(handshakes.sessions) == '[""]'
