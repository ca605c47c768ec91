"""One WebSocket of a client: sends what a test says, and holds whatever it hears to the AsyncAPI document."""

import asyncio
import contextlib
import json
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tapedeck_testing.protocol.asyncapi import document
from tapedeck_testing.protocol.endings import check_announced

HEAR_S = 60.0


class SocketClient:
    """What is heard stands in `texts`, in order; every message of it is one that the document describes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.texts: list[dict[str, Any]] = []

    async def send(self, *messages: bytes) -> None:
        """Binary messages."""
        for message in messages:
            await self.socket.send(message)

    async def say(self, **message: Any) -> None:
        """A text message."""
        await self.socket.send(json.dumps(message))

    async def ready(self) -> dict[str, Any]:
        """The first message, which is always `ready`."""
        message = await self.next()
        assert message["type"] == "ready", message
        return message

    async def next(self) -> dict[str, Any]:
        """The next message, whatever it is."""
        async with asyncio.timeout(HEAR_S):
            text = await self.socket.recv()
        assert isinstance(text, str), "the server never sends binary messages"
        message: dict[str, Any] = json.loads(text)
        document().check_from_server(message)
        self.texts.append(message)
        return message

    async def hear(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of a kind, with these fields; what comes before it is kept in `texts`."""
        async with asyncio.timeout(HEAR_S):
            while True:
                message = await self.next()
                if message["type"] == kind and all(
                    message.get(name) == value for name, value in fields.items()
                ):
                    return message

    async def acked(self, offset: int) -> dict[str, Any]:
        """The first ack that covers so much."""
        while (message := await self.hear("ack"))["offset"] < offset:
            pass
        return message

    async def closed(self) -> int:
        """The code that the server closes with, which must have been announced; 1006 where the line just broke."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(HEAR_S):
                while True:
                    await self.next()
        code = self.socket.close_code or 1006
        check_announced(code, self.texts)
        return code

    async def answered(self) -> None:
        """Until the server has gone through everything sent so far: `finalize` is answered in its turn, or an error is."""
        await self.socket.send("no JSON")
        await self.hear("error", code="bad_json")

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a kind so far."""
        return [message for message in self.texts if message["type"] == kind]

    @property
    def errors(self) -> list[str]:
        """The codes of all errors so far."""
        return [message["code"] for message in self.heard("error")]
