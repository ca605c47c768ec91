"""Well-behaved clients of the server under attack, in a process of their own, so that only the server can disturb them.

Run as `python -m tapedeck_testing.hostile.neighbour_process`; the plan comes as the first line of standard input (JSON: `urls`,
each with its `token`, and `packets` in hex). After that each line is a question, answered by a line of JSON:

- `window`: acks since the last window, and how late they came;
- `settle`: whether all that was sent before the question has been acked now, within a deadline;
- `stop`: closes in order, and says whether everything was acked.

A delay is counted from sending the newest byte that an ack covers.
"""

import asyncio
import json
import sys
import time
from bisect import bisect_left
from collections import deque
from typing import Any, Final

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

PERIOD_S: Final = 0.02
SETTLE_S: Final = 30.0


class Neighbour:
    """One socket that sends a packet each 20 ms."""

    def __init__(self, plan: dict[str, str], packets: list[bytes]) -> None:
        self._plan = plan
        self._packets = packets
        self._sent: deque[tuple[int, float]] = deque()
        """End offset and time of what is not yet acked."""
        self.offset = 0
        self.acked = 0
        self.delays_s: list[float] = []
        self.ended: str | None = None
        """Why the server closed, where it did."""
        self.ready = asyncio.Event()
        self._leaving = False

    async def run(self) -> None:
        """Sends until `stop`."""
        try:
            async with connect(
                self._plan["url"],
                subprotocols=[Subprotocol("tapedeck.v1")],
                additional_headers={"Authorization": f"Bearer {self._plan['token']}"},
                compression=None,
                proxy=None,
                ping_interval=None,
                close_timeout=2,
            ) as socket:
                await socket.recv()
                self.ready.set()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._send(socket))
                    tasks.create_task(self._hear(socket))
        except* (WebSocketException, OSError) as errors:
            self.ended = repr(errors.exceptions[0])

    def stop(self) -> None:
        """The end, as the protocol has it."""
        self._leaving = True

    async def _send(self, socket: ClientConnection) -> None:
        began, turn = time.monotonic(), 0
        while not self._leaving:
            packet = self._packets[turn % len(self._packets)]
            self.offset += len(packet)
            self._sent.append((self.offset, time.monotonic()))
            await socket.send(packet)
            turn += 1
            await asyncio.sleep(max(0.0, began + turn * PERIOD_S - time.monotonic()))
        await socket.send('{"type":"close"}')

    async def _hear(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "ack":
                self._ack(message["offset"], time.monotonic())
            if self._leaving and self.acked == self.offset:
                break

    def _ack(self, offset: int, now_s: float) -> None:
        if offset <= self.acked:
            return
        self.acked = offset
        newest = bisect_left(self._sent, (offset, 0.0))
        if newest < len(self._sent):
            self.delays_s.append(now_s - self._sent[newest][1])
        while self._sent and self._sent[0][0] <= offset:
            self._sent.popleft()


class Neighbours:
    """All of them, and the answers about them."""

    def __init__(self, plan: dict[str, Any]) -> None:
        packets = [bytes.fromhex(packet) for packet in plan["packets"]]
        self._all = [Neighbour(one, packets) for one in plan["sockets"]]

    async def window(self) -> dict[str, Any]:
        """What came since the last question."""
        delays = sorted(delay for one in self._all for delay in one.delays_s)
        for one in self._all:
            one.delays_s.clear()
        return {
            "acks": len(delays),
            "middle_s": delays[len(delays) // 2] if delays else None,
            "worst_s": delays[-1] if delays else None,
            "closed": self._closed(),
        }

    async def settle(self) -> dict[str, Any]:
        """Waits until all that is sent by now is acked."""
        owed = [(one, one.offset) for one in self._all]
        deadline = time.monotonic() + SETTLE_S
        while any(one.acked < offset for one, offset in owed) and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        return {"missing": sum(one.acked < offset for one, offset in owed), "closed": self._closed()}

    async def stop(self) -> dict[str, Any]:
        """Ends them all."""
        for one in self._all:
            one.stop()
        return await self.settle()

    def _closed(self) -> list[str]:
        return [one.ended for one in self._all if one.ended is not None]

    async def run(self) -> None:
        """Answers questions until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            for one in self._all:
                tasks.create_task(one.run())
            for one in self._all:
                await asyncio.wait_for(one.ready.wait(), SETTLE_S)
            print("ready", flush=True)  # noqa: T201 - this is how a process answers
            questions = {"window": self.window, "settle": self.settle, "stop": self.stop}
            while question := (await asyncio.to_thread(sys.stdin.readline)).strip():
                print(json.dumps(await questions[question]()), flush=True)  # noqa: T201 - as above
                if question == "stop":
                    break


if __name__ == "__main__":
    uvloop.run(Neighbours(json.loads(sys.stdin.readline())).run())
