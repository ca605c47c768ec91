"""The devices: many WebSockets from one process, each sending a 20 ms Opus packet 50 times a second.

Run as `python -m bench.load_generator PLAN` by `bench.load`; PLAN is a JSON file. Reads lines from standard input: `count` has it
write how many messages were sent, `stop` has it close everything and end. Frames are masked once and sent again and again,
so that the load costs little beside what is measured. Sends are spread over the 20 ms, as devices spread them.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, cast

import uvloop
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

PERIOD_S = 0.020
SLOTS = 20
"""The sockets are sent to in so many groups, one after another."""
OPEN_S = 30.0
CLOSE_S = 5.0


class Device(asyncio.Protocol):
    """One socket: the handshake and what comes in go through websockets' protocol, what goes out is ready bytes."""

    def __init__(self, url: str, token: str) -> None:
        self._protocol = ClientProtocol(parse_uri(url), subprotocols=[Subprotocol("tapedeck.v1")])
        self._token = token
        self.transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        """The first text has come."""
        self.gone: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self.transport = cast("asyncio.Transport", transport)
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {self._token}"
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Acks, pings, the end."""
        self._protocol.receive_data(data)
        self._flush()
        for event in self._protocol.events_received():
            if isinstance(event, Response) and event.status_code != 101:
                self._fail(f"refused with {event.status_code}: {event.body!r}")
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT and not self.ready.done():
                self.ready.set_result(None)
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                self._fail(f"closed: {bytes(event.data)!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._fail(f"the connection was lost: {exc}")
        if not self.gone.done():
            self.gone.set_result(None)

    def send(self, frame: bytes) -> None:
        """Send bytes as they are."""
        if self.transport is not None:
            self.transport.write(frame)

    def close(self) -> None:
        """Leave as a device whose battery is out."""
        if self.transport is not None:
            self.transport.close()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.send(data)

    def _fail(self, reason: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))


class Load:
    """All devices and their pace."""

    def __init__(self, plan: dict[str, Any]) -> None:
        packets = [bytes.fromhex(packet) for packet in plan["packets"]]
        self._frames = [Frame(Opcode.BINARY, packet).serialize(mask=True) for packet in packets]
        self._sockets: list[dict[str, str]] = plan["sockets"]
        self._host, self._port = plan["host"], plan["port"]
        self._devices: list[Device] = []
        self.sent = 0
        self.stopped = asyncio.Event()

    async def open(self) -> None:
        """Opens all sockets and waits until every server half has spoken."""
        loop = asyncio.get_running_loop()
        for socket in self._sockets:
            _, device = await loop.create_connection(
                lambda socket=socket: Device(socket["url"], socket["token"]),  # type: ignore[misc] # as in listen_cpu: a default argument binds it
                self._host,
                self._port,
            )
            self._devices.append(device)
        async with asyncio.timeout(OPEN_S):
            await asyncio.gather(*(device.ready for device in self._devices))

    async def send(self) -> None:
        """Sends until stopped; what is late is sent at once, so that the rate holds."""
        groups = [self._devices[slot::SLOTS] for slot in range(SLOTS)]
        frames, step = self._frames, PERIOD_S / SLOTS
        began = time.monotonic()
        turn = 0
        while not self.stopped.is_set():
            pause = began + turn * step - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            elif turn % SLOTS == 0:
                await asyncio.sleep(0)
            frame = frames[turn // SLOTS % len(frames)]
            group = groups[turn % SLOTS]
            for device in group:
                device.send(frame)
            self.sent += len(group)
            turn += 1

    async def close(self) -> None:
        """Closes all sockets."""
        for device in self._devices:
            device.close()
        async with asyncio.timeout(CLOSE_S):
            await asyncio.gather(*(device.gone for device in self._devices))


async def run(plan: dict[str, Any], answers: Path) -> None:
    """One load, from the first handshake to `stop`."""
    load = Load(plan)

    def answer(line: str) -> None:
        with answers.open("a") as file:
            file.write(f"{line}\n")

    def command() -> None:
        line = sys.stdin.readline().strip()
        if line == "count":
            answer(str(load.sent))
        else:
            asyncio.get_running_loop().remove_reader(sys.stdin)
            load.stopped.set()

    await load.open()
    asyncio.get_running_loop().add_reader(sys.stdin, command)
    answer("ready")
    await load.send()
    await load.close()


if __name__ == "__main__":
    read = json.loads(Path(sys.argv[1]).read_text())
    uvloop.run(run(read, Path(read["answers"])))
