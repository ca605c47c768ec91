"""Usage through everything that `tapedeck up` starts."""

import asyncio
import json
import time
from urllib.parse import urlencode

import websockets

from audiobus import Bus, utc_day
from tapedeck_testing.recordings import opus_packets
from tapedeck_testing.stack import Stack

UID = "counted-user"


async def test_what_a_killed_listen_took_from_a_device_that_never_comes_back_is_counted(tmp_path):
    stack = Stack(tmp_path / "up", environ={"TAPEDECK_IDLE_SECONDS": "1"}).start()
    try:
        packets = opus_packets(3, seed=31)
        query = urlencode({"codec": "opus", "conversation_id": "c"})
        url = f"{stack.facts['listen']}/v4/listen?{query}"
        headers = {"Authorization": f"Bearer {stack.user_token(UID)}"}
        async with (
            asyncio.timeout(60),
            Bus(stack.facts["redis"]) as bus,
            websockets.connect(
                url, additional_headers=headers, subprotocols=[websockets.Subprotocol("tapedeck.v1")]
            ) as socket,
        ):
            session = json.loads(await socket.recv())["session"]
            for packet in packets:
                await socket.send(packet)
            while json.loads(await socket.recv()).get("offset", 0) < sum(map(len, packets)):
                pass
            key = bus.keys.usage(UID, utc_day(time.time_ns() // 1_000_000))
            assert await bus.command("HGETALL", key) in ([], {})  # the first look comes later
            assert stack.kill("listen")
            while (used := await bus.command("HGET", key, f"c/{session}")) is None:
                await asyncio.sleep(0.1)
            assert (
                int(used) == (3_000 * 48 - 312) // 48
            )  # less what the device's encoder puts before its first sample
    finally:
        assert stack.stop() == 0
