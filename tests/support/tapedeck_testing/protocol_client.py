"""A client written from the protocol page alone, so that the SDK is not checked against itself.

It keeps every message until the end, knows what was acked, reconnects whenever it is cut off, resumes, and sends again what
is not safe.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any
from urllib.parse import urlencode

import websockets
from websockets.asyncio.client import ClientConnection

PAUSE_S = 0.1


class GaveUpError(Exception):
    """The server said something that no client can go on from."""


class ProtocolClient:
    """One recording: messages sent in order, at a pace, whatever happens to the line.

    With two channels each message begins with its channel, 1 or 2, which is no payload.
    """

    def __init__(
        self,
        url: str,
        token: str,
        conversation_id: str,
        messages: Sequence[bytes],
        *,
        codec: str,
        sample_rate: int = 16_000,
        channels: int = 1,
        pace_s: float = 0.0,
        mark_ms: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.conversation_id = conversation_id
        self.messages = messages
        self.tag_bytes = channels - 1
        self.ends = list(accumulate(len(message) - self.tag_bytes for message in messages))
        self.codec = codec
        self.channels = channels
        self.sample_rate = sample_rate
        self.pace_s = pace_s
        self.mark_ms = mark_ms
        self.headers = {"Authorization": f"Bearer {token}", **(headers or {})}
        self.session: str | None = None
        self.base = 0
        """Payload bytes that lie in sessions before this one."""
        self.acked = 0
        """Payload bytes of the recording that were acked."""
        self.stored = 0
        self.connections = 0
        self.fresh_sessions = 0
        self.errors: list[dict[str, Any]] = []
        self._sent_from_clock = 0.0

    @property
    def total(self) -> int:
        """Payload bytes of the whole recording."""
        return self.ends[-1] if self.ends else 0

    @property
    def acked_messages(self) -> int:
        """Whole messages that were acked."""
        return sum(end <= self.acked for end in self.ends)

    async def run(self) -> None:
        """Records everything, and returns when the server has closed with 1000 and acked the last byte."""
        self._sent_from_clock = asyncio.get_running_loop().time()
        while True:
            try:
                if await self._connection():
                    return
            except (OSError, websockets.InvalidHandshake, websockets.InvalidMessage, EOFError, TimeoutError):
                pass
            await asyncio.sleep(PAUSE_S)

    async def _connection(self) -> bool:
        query = {
            "codec": self.codec,
            "sample_rate": str(self.sample_rate),
            "channels": str(self.channels),
            "conversation_id": self.conversation_id,
            **({"session": self.session} if self.session else {}),
        }
        async with websockets.connect(
            f"{self.url}/v4/listen?{urlencode(query)}",
            subprotocols=[websockets.Subprotocol("tapedeck.v1")],
            additional_headers=self.headers,
            compression=None,
            open_timeout=30,
            close_timeout=1,
            proxy=None,
        ) as socket:
            try:
                first = json.loads(await asyncio.wait_for(socket.recv(), 60))
                if first["type"] != "ready":
                    self.errors.append(first)
                    return False
                self._ready(first)
                reader = asyncio.create_task(self._read(socket))
                try:
                    await self._send(socket)
                    await asyncio.wait_for(reader, 60)
                finally:
                    reader.cancel()
                    with contextlib.suppress(
                        asyncio.CancelledError, websockets.ConnectionClosed, TimeoutError
                    ):
                        await reader
            except websockets.ConnectionClosed:
                pass
            await socket.close()
            return self._closed(socket)

    def _ready(self, ready: dict[str, Any]) -> None:
        self.connections += 1
        if ready["session"] == self.session:
            assert self.base + ready["resume_offset"] >= self.acked, (ready, self.base, self.acked)
            self.acked = self.base + ready["resume_offset"]
            return
        self.fresh_sessions += 1
        if self.session is not None:
            # The old session is over: what it holds is known, or what was acked is all there is.
            safe = self.base + ready["previous_offset"] if "previous_offset" in ready else self.acked
            assert safe >= self.acked, (ready, self.acked)
            self.acked = self.base = safe
        self.session = ready["session"]

    async def _send(self, socket: ClientConnection) -> None:
        if self.mark_ms is not None and self.acked == self.base == 0:
            await socket.send(json.dumps({"type": "mark", "at_ms": self.mark_ms}))
        loop = asyncio.get_running_loop()
        sent = self.acked
        for index, end in enumerate(self.ends):
            if end <= sent:
                continue
            message = self.messages[index]
            tag, payload = message[: self.tag_bytes], message[self.tag_bytes :]
            begin = end - len(payload)
            if self.pace_s:
                # A device records on while its line is down; what it kept goes out at once.
                pause = self._sent_from_clock + index * self.pace_s - loop.time()
                if pause > 0:
                    await asyncio.sleep(pause)
            await socket.send(tag + payload[max(0, sent - begin) :])
        await socket.send(json.dumps({"type": "close"}))

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "ack":
                assert message["conversation_id"] == self.conversation_id
                offset = self.base + message["offset"]
                assert self.acked <= offset <= self.total, (message, self.base, self.acked, self.total)
                self.acked = offset
                assert message["stored"] <= message["offset"]
                self.stored = max(self.stored, self.base + message["stored"])
            elif message["type"] == "error":
                self.errors.append(message)

    def _closed(self, socket: ClientConnection) -> bool:
        code = socket.close_code
        if code == 1000:
            assert self.acked == self.total, (self.acked, self.total)
            return True
        if code in (1003, 1007, 1009, 4400, 4403, 4404, 4409):
            raise GaveUpError(f"closed with {code}: {self.errors[-1:]}")
        return False
