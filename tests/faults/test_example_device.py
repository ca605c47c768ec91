"""The example client for devices, where Redis and the process lose what the device keeps no more."""

import asyncio
import signal
import time

import pytest

from tapedeck_testing.example_device import Microphone, load
from tapedeck_testing.faults.story import UID, conv, settle
from tapedeck_testing.faults.verdict import stored_spans
from tapedeck_testing.recordings import opus_packets

pytestmark = pytest.mark.asyncio(loop_scope="module")

CID = "example"


async def appended(rig, offset: int) -> None:
    async with rig.client() as client, asyncio.timeout(60):
        while int((await client.hget(conv(CID), "newest") or b"0-0").split(b"-")[1]) < offset:
            await asyncio.sleep(0.02)


async def test_it_begins_anew_with_a_mark(rig):
    device = load()
    packets = opus_packets(12, seed=11)
    ends = [0]
    for packet in packets:
        ends.append(ends[-1] + len(packet))
    start_ms = int(time.time() * 1000) - 60_000
    microphone, sessions = Microphone(packets, start_ms), []
    token = rig.stack.user_token(UID)

    def handshake(session):
        sessions.append(session)
        return (
            f"GET /v4/listen?codec=opus&conversation_id={CID}&session={session} HTTP/1.1\r\nHost: device\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Protocol: tapedeck.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()

    running = asyncio.create_task(asyncio.to_thread(device.record, rig.address, handshake, microphone))
    microphone.limit = 150
    await appended(rig, ends[100])
    size = rig.log_size()
    microphone.limit = 400
    await appended(rig, ends[350])
    assert rig.signal_one("listen", signal.SIGKILL)
    rig.redis.kill()
    rig.forget(rig.log_size() - size)
    await asyncio.to_thread(rig.redis.start)
    microphone.limit = len(packets)
    async with asyncio.timeout(90):
        assert await running == 1000
    assert sessions[0] == ""
    assert "" in sessions[1:]  # it began anew
    await settle(rig, CID)
    spans = stored_spans(rig.stack.store, UID, CID)
    assert spans[-1].packets[-1] == packets[-1]
    for span in spans:
        first = packets.index(span.packets[0])
        assert list(span.packets) == packets[first : first + len(span.packets)]
        # What an encoder has ahead is trimmed where one begins.
        assert span.start_ms == pytest.approx(start_ms + 20 * first, abs=30)
