"""The sockets of this process: how many there may be, the pulse that tells them the time, and how all of them leave.

Must not know the protocol.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from listen.connection import Connection, now_ms
from listen.errors import RefusedError

PULSE_S: Final = 0.1
LEAVE_SHARE: Final = 0.6
"""Of the drain time: over so much of it the closes are spread; the rest is for making the last one safe."""
LEAVE_EACH_S: Final = 0.02
"""A few sockets need not wait for long."""
RECONNECT_MS: Final = (500, 5_000)
RETRY_AFTER_S: Final = 5


class Sockets:
    """All open sockets."""

    def __init__(self, *, limit: int, limit_per_user: int) -> None:
        self._limit = limit
        self._limit_per_user = limit_per_user
        self._count = 0
        self._of_user: Counter[str] = Counter()
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.leaving = False

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds a place in this process, from the handshake on.

        Raises:
            RefusedError: 503, this process is full or about to end.
        """
        if self.leaving:
            raise RefusedError(503, "unavailable", "this server is about to end", retry_after_s=1)
        if self._count >= self._limit:
            raise RefusedError(
                503, "unavailable", "this server has no room for more sockets", retry_after_s=RETRY_AFTER_S
            )
        self._count += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._empty.set()

    @contextmanager
    def place_of(self, uid: str) -> Iterator[None]:
        """Holds one of a user's places.

        Raises:
            RefusedError: 429, the user has too many sockets.
        """
        if self._of_user[uid] >= self._limit_per_user:
            raise RefusedError(
                429,
                "limit",
                f"a user has at most {self._limit_per_user} sockets here",
                retry_after_s=RETRY_AFTER_S,
            )
        self._of_user[uid] += 1
        try:
            yield
        finally:
            self._of_user[uid] -= 1
            if not self._of_user[uid]:
                del self._of_user[uid]

    async def serve(self, connection: Connection) -> None:
        """Runs a connection to its end."""
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    async def pulse(self) -> None:
        """Tells every socket the time, for ever: a task of the service."""
        while True:
            await asyncio.sleep(PULSE_S)
            at_ms = now_ms()
            for connection in list(self._connections):
                connection.tick(at_ms)

    async def leave(self, within_s: float) -> None:
        """Announces the end to all, makes each safe and closes it, spread over a part of the time; then waits for them."""
        self.leaving = True
        for connection in list(self._connections):
            connection.going_away(random.randint(*RECONNECT_MS))  # noqa: S311 - jitter, no secret
        spread_s = min(within_s * LEAVE_SHARE, LEAVE_EACH_S * self._count)
        connections = list(self._connections)
        random.shuffle(connections)
        try:
            async with asyncio.timeout(within_s):
                for connection in connections:
                    await asyncio.sleep(spread_s / len(connections))
                    connection.leave()
                while self._count:
                    # What was in its handshake when this began comes a little later.
                    for connection in list(self._connections):
                        connection.leave()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._empty.wait(), PULSE_S)
        except TimeoutError:
            return  # what is still open resumes elsewhere, from what was acked
