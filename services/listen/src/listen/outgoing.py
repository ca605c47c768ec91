"""What goes to one client: texts and the close, in order, each with a deadline.

Sending to a client that has left can hang for good (docs/architecture.md, what Hypercorn does); so nobody but this task
ever awaits a send, and a send that takes too long is the end of the socket.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

SEND_TIMEOUT_S: Final = 10.0
QUEUE_LIMIT: Final = 1_000
"""Messages that may wait for a client that does not read: some minutes of acks."""

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Outgoing:
    """The sending half of a socket. `run` does the work."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._queue: deque[dict[str, Any]] = deque()
        self._wake = asyncio.Event()
        self._over = False

    def text(self, text: str) -> None:
        """Sends a text message; dropped where nobody can get it any more."""
        if not self._over:
            self._queue.append({"type": "websocket.send", "text": text})
            self._wake.set()

    def close(self, code: int) -> None:
        """Closes the socket after what waits; what comes later is dropped."""
        if not self._over:
            self._over = True
            self._queue.append({"type": "websocket.close", "code": code})
            self._wake.set()

    def drop(self) -> None:
        """The client is gone: nothing is sent any more, and `run` ends."""
        self._over = True
        self._queue.clear()
        self._wake.set()

    async def run(self) -> bool:
        """Sends until the socket is closed. False: the client does not take what it is sent."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if len(self._queue) > QUEUE_LIMIT:
                return False
            while self._queue:
                message = self._queue.popleft()
                try:
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await self._send(message)
                except TimeoutError:
                    return False
            if self._over:
                return True
