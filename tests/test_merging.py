"""Conversations are merged while devices record into them: what a device hears, that nothing of it is lost, and where it goes on."""

import asyncio
import contextlib
import json
import time
from urllib.parse import urlsplit

import pytest
import websockets

SECOND = 32_000
PIECE = 3_200
STRANGE = b"\x10\x20" * (PIECE // 2)
QUERY = "codec=pcm16&sample_rate=16000"


class Device:
    """A socket that sends a tenth of a second ten times a second until it is closed, and keeps what it hears."""

    def __init__(self, stack, uid: str, query: str, *, plain: bool, most: int = 10**6) -> None:
        listen = urlsplit(stack.facts["listen"])
        self._url = f"ws://{listen.netloc}/v4/listen?{QUERY}&{query}"
        self._options = {
            "additional_headers": {"Authorization": f"Bearer {stack.user_token(uid)}"},
            "subprotocols": None if plain else ["tapedeck.v1"],
        }
        self._most = most
        self.sent = 0
        self.sent_before = 0
        """What was sent when it heard that this is the end."""
        self.heard: list[dict] = []
        self.code = 0

    async def run(self) -> None:
        async with websockets.connect(self._url, **self._options) as socket:
            sending = asyncio.create_task(self._send(socket))
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    self.heard.append(json.loads(await socket.recv()))
                    if self.heard[-1]["type"] == "error":
                        self.sent_before = self.sent
            sending.cancel()
            self.code = socket.close_code or 0

    async def _send(self, socket) -> None:
        while not self.of("ready"):
            await asyncio.sleep(0.01)
        with contextlib.suppress(websockets.ConnectionClosed):
            while self.sent < self._most:
                await socket.send(STRANGE)
                self.sent += PIECE
                await asyncio.sleep(0.1)

    def of(self, kind: str) -> list[dict]:
        return [one for one in self.heard if one["type"] == kind]

    @property
    def acked(self) -> int:
        return max((one["offset"] for one in self.of("ack")), default=0)


async def until(true, what: str) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
async def test_devices_that_are_recording(stack):
    uid = "merging-user"
    plain = Device(stack, uid, "conversation_id=a", plain=True)
    idle = Device(stack, uid, "conversation_id=b", plain=False, most=SECOND)
    going_on = Device(stack, uid, "conversation_id=c", plain=False)
    devices = (plain, idle, going_on)
    running = [asyncio.create_task(device.run()) for device in devices]
    await until(lambda: all(device.acked >= SECOND // 2 for device in devices), "they record")
    async with stack.http() as http:
        operations = []
        for sources, target in ((["a"], "kept"), (["b", "c"], "all")):
            body = {"sources": sources, "target": target, "delete_sources": True}
            answer = await http.post(f"/v1/users/{uid}/conversations:merge", json=body)
            assert answer.status_code == 202, answer.text
            operations.append(answer.headers["location"])
        await asyncio.wait_for(asyncio.gather(*running), 30)
        assert [device.code for device in devices] == [4409, 4409, 4409]
        assert [[one["code"] for one in device.of("error")] for device in devices] == [["merging"]] * 3
        for path in operations:
            deadline = time.monotonic() + 60
            while not (operation := (await http.get(path)).json())["done"]:
                assert time.monotonic() < deadline, operation
                await asyncio.sleep(0.1)
            assert operation["error"] is None, operation
        kept = (await http.get(f"/v1/users/{uid}/conversations/kept")).json()
    # What was on its way when the server said so is the device's.
    assert plain.acked >= plain.sent_before - 2 * PIECE
    assert kept["recorded_seconds"] == kept["stored_seconds"] == pytest.approx(plain.acked / SECOND, abs=0.01)
    [ready] = going_on.of("ready")
    again = Device(stack, uid, f"conversation_id=c&session={ready['session']}", plain=False)
    coming = asyncio.create_task(again.run())
    await until(lambda: again.of("ready"), "it comes back")
    [there] = again.of("ready")
    assert (there["conversation_id"], there["previous_offset"]) == ("all", going_on.acked)
    await until(lambda: again.acked >= SECOND // 2, "it goes on")
    coming.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await coming
