"""A client that is led by hand, word by word: for stories in which a device does what no device should.

Owns one WebSocket and what has come over it. Waits for what it is asked for, with a deadline.
"""

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import websockets

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

DEADLINE_S = 60.0


class Hand:
    """One socket, open as long as its context."""

    def __init__(
        self,
        address: tuple[str, int],
        token: str,
        conversation_id: str,
        *,
        session: str | None = None,
        plain: bool = False,
        codec: str = "opus",
        sample_rate: int = 16_000,
        channels: int = 1,
    ) -> None:
        query = {
            "codec": codec,
            "sample_rate": sample_rate,
            "channels": channels,
            "conversation_id": conversation_id,
            **({"session": session} if session else {}),
        }
        self._url = f"ws://{address[0]}:{address[1]}/v4/listen?{urlencode(query)}"
        self._token = token
        self._plain = plain
        self.messages: list[dict[str, Any]] = []
        self.code: int | None = None
        """The close code, once it is closed."""
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None]
        self._socket: ClientConnection

    async def __aenter__(self) -> Self:
        self._socket = await websockets.connect(
            self._url,
            subprotocols=None if self._plain else [websockets.Subprotocol("tapedeck.v1")],
            additional_headers={"Authorization": f"Bearer {self._token}"},
            compression=None,
            open_timeout=60,
            close_timeout=1,
            ping_interval=None,
            proxy=None,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._socket.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    # -- saying ------------------------------------------------------------------------------------------------------

    async def send(self, *messages: bytes) -> None:
        """Binary messages."""
        for message in messages:
            await self._socket.send(message)

    async def say(self, kind: str, **fields: Any) -> None:
        """A text message."""
        await self._socket.send(json.dumps({"type": kind, **fields}))

    def reset(self) -> None:
        """The line is gone without a word."""
        self._socket.transport.abort()

    @property
    def port(self) -> int:
        """Our own port: how a relay knows this line."""
        port: int = self._socket.local_address[1]
        return port

    # -- hearing -----------------------------------------------------------------------------------------------------

    async def ready(self) -> dict[str, Any]:
        """The first message; an AssertionError that names it where it is another one."""
        await self.heard(lambda: bool(self.messages) or self.code is not None)
        assert self.messages, f"closed with {self.code}"
        assert self.messages[0]["type"] == "ready", self.messages[0]
        return self.messages[0]

    async def acked(self, offset: int) -> None:
        """Waits for an ack of so much."""
        await self.heard(lambda: self.offset >= offset or self.code is not None)
        assert self.offset >= offset, (self.offset, offset, self.code, self.messages[-1:])

    async def closed(self) -> int | None:
        """The close code; None where the line broke."""
        await self.heard(lambda: self.code is not None)
        return self.code

    @property
    def offset(self) -> int:
        """Acked so far, in this session."""
        return max((one["offset"] for one in self.messages if one["type"] == "ack"), default=0)

    @property
    def errors(self) -> list[str]:
        """The codes of all errors so far."""
        return [one["code"] for one in self.messages if one["type"] == "error"]

    async def heard(self, condition: Callable[[], bool]) -> None:
        """Waits for something that depends on what has come."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                self.messages.append(json.loads(text))
                self._news.set()
        except websockets.ConnectionClosed:
            pass  # the code says so
        self.code = self._socket.close_code
        self._news.set()
