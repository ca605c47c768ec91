"""The sockets of this process: who may come, the pulse that tells them the time, and how all of them leave.

Must not know the protocol. How many there may be is `places`' business.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from listen.backend import now_ms
from listen.comeback import ELSEWHERE_S, reconnect_after_ms, retry_after_s
from listen.connection import Connection
from listen.errors import RefusedError
from listen.places import Limits, Places
from listen.strangers import Stranger, Strangers
from listen.wire import Wire

log = logging.getLogger(__name__)

PULSE_S: Final = 0.1
LEAVE_SHARE: Final = 0.6
"""Of the drain time: over so much of it the closes are spread; the rest is for making the last one safe."""
LEAVE_EACH_S: Final = 0.02
"""A few sockets need not wait for long."""
SETTLE_S: Final = 0.2
"""After the announcement, before the first one leaves."""
UNANSWERED_S: Final = 1.0
"""While everybody leaves: how long a client may take to answer its close, or to read it."""
LAST_WORDS_S: Final = 0.5
"""Of the drain time: for telling those that cannot be brought safe, and closing them."""

Gate = Callable[[], None]
"""Raises RefusedError where this process takes nobody now."""


def _open() -> None:
    """A gate that lets everybody in."""


class Sockets:
    """All open sockets."""

    def __init__(self, limits: Limits, gate: Gate = _open) -> None:
        self.places = Places(limits)
        self.strangers = Strangers(limits.handshakes)
        self._gate = gate
        self._connections: set[Connection] = set()
        self.leaving = False

    def __len__(self) -> int:
        return len(self.places)

    @contextmanager
    def place(self, address: str = "") -> Iterator[None]:
        """Holds a place in this process, from the handshake on. `address`: the client's; "" where it is not known.

        Raises:
            RefusedError: 503, this process is full, about to end, or its Redis is full; 429, the address has too many.
        """
        self._stays()
        self._gate()
        with self.places.place(address):
            yield

    @contextmanager
    def place_of_stranger(self, stranger: Stranger) -> Iterator[None]:
        """Holds a place in which a first message is waited for, within one of this process, which is not counted meanwhile.

        Raises:
            RefusedError: 503, this process is about to end.
        """
        with self.places.apart(), self.strangers.wait(stranger):
            yield

    @contextmanager
    def place_of(self, uid: str, *, replaces: bool = False) -> Iterator[None]:
        """Holds one of a user's places. `replaces` is as in `Places`.

        Where all are taken, and one is about to be replaced, those go at once that are over and only wait for their client's
        answer to the close: a half-open one gives none.

        Raises:
            RefusedError: 429, the user has too many sockets; 503, this process is about to end. Who was in its handshake when that
                became known is refused as well: all others have been told `going_away` by then.
        """
        self._stays()
        if replaces and self.places.full(uid):
            for connection in [one for one in self._connections if one.over and one.uid == uid]:
                connection.abort()
        with self.places.place_of(uid, replaces=replaces):
            yield

    def _stays(self) -> None:
        if self.leaving:
            raise RefusedError(
                503,
                "unavailable",
                "this server is about to end",
                retry_after_s=retry_after_s(ELSEWHERE_S),
                reason="draining",
            )

    def begin(self, connection: Connection, wire: Wire, places: ExitStack) -> None:
        """Lets a connection begin. It is heard of until its end; then its places are free."""

        def ended() -> None:
            self._connections.discard(connection)
            places.close()

        self._connections.add(connection)
        wire.receiver = connection
        connection.begin(wire, ended)

    async def pulse(self) -> None:
        """Tells every socket the time, for ever: a task of the service."""
        while True:
            await asyncio.sleep(PULSE_S)
            at_ms = now_ms()
            for connection in list(self._connections):
                connection.pulse(at_ms)

    async def leave(self, within_s: float) -> None:
        """Announces the end to all, makes each safe and closes it, spread over a part of the time; then waits for them.

        Those that have nothing to lose go first. What Redis does not take has until the end of the time; then it is told.
        """
        self.leaving = True
        self.strangers.leave()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        for connection in list(self._connections):
            connection.going_away(reconnect_after_ms())
        # What is on its way is still taken; then it is known who has nothing to lose.
        await asyncio.sleep(min(SETTLE_S, within_s / 4))
        # Idle ones first, and no two drains in the same order: whoever takes them should not meet them by age.
        connections = list(self._connections)
        random.shuffle(connections)
        connections.sort(key=lambda connection: connection.waiting_samples)
        spread_s = min(within_s * LEAVE_SHARE, LEAVE_EACH_S * len(connections))
        for connection in connections:
            await asyncio.sleep(spread_s / len(connections))
            connection.leave()
        await self._gone_by(deadline - min(LAST_WORDS_S, within_s / 4))
        left = [connection for connection in self._connections if not connection.over]
        if left:
            seconds = sum(connection.waiting_samples for connection in left) / 48_000
            log.warning(
                "not everything could be made safe in time: it is the clients' to send again",
                extra={"sockets": len(left), "about_seconds": seconds},
            )
        for connection in left:
            connection.give_up()
        await self._gone_by(deadline)
        for connection in list(self._connections):
            connection.abort()

    async def _gone_by(self, deadline_s: float) -> None:
        """Waits until nobody is left, or until a loop time; breaks off those that do not answer their close.

        Handshakes under way are refused when they are through; one that takes longer is not waited for.
        """
        loop = asyncio.get_running_loop()
        over_since_s: dict[Connection, float] = {}
        handshakes_by_s = loop.time() + UNANSWERED_S
        while loop.time() < deadline_s and (
            self._connections or (len(self) and loop.time() < handshakes_by_s)
        ):
            for connection in list(self._connections):
                connection.leave()
                if connection.over and loop.time() - over_since_s.setdefault(connection, loop.time()) > (
                    UNANSWERED_S
                ):
                    connection.abort()
            await asyncio.sleep(min(PULSE_S, max(0.0, deadline_s - loop.time())))
