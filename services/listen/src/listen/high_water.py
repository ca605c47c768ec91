"""How full Redis is, and who is let in then: operators are warned from a mark on, new sockets refused from 0.9 on.

One command every few seconds for the whole process; a handshake looks at what was found. Sockets that are open go on: what
they send waits, as while Redis is away, until draining has made room.
"""

import asyncio
import logging
from typing import Final

from audiobus import Bus
from audiobus.errors import BusError
from audiobus.memory import memory_share
from listen.comeback import REDIS_FULL_S, retry_after_s
from listen.errors import RefusedError
from servicekit.health import Health

log = logging.getLogger(__name__)

CHECK: Final = "redis memory"
LOOK_S: Final = 2.0
REFUSE_AT: Final = 0.9
"""Of `maxmemory`: the rest is for the sockets that are open, and for whoever drains."""
ADMIT_BELOW: Final = 0.88
"""Once refused, everybody is until a little room is made: else the first to come in would fill it."""


class HighWater:
    """What was found last. `look` is pure; `watch` asks Redis."""

    def __init__(self, mark: float) -> None:
        """`mark`: the share of `maxmemory` from which on health warns."""
        self._mark = mark
        self.share = 0.0
        """Of `maxmemory`; 0 where there is none."""
        self.full = False
        """New sockets are refused."""

    def gate(self) -> None:
        """Lets a handshake go on.

        Raises:
            RefusedError: 503, Redis has no room for more sessions.
        """
        if self.full:
            raise RefusedError(
                503,
                "unavailable",
                "the buffer is full: try again later",
                retry_after_s=retry_after_s(REDIS_FULL_S),
                reason="redis_full",
            )

    def refused(self) -> None:
        """Redis has refused a write: it is full, whatever was found last."""
        if not self.full:
            log.error("Redis is full and refuses writes: audio waits in this process and with its clients")
        self.full = True

    def look(self, share: float | None) -> None:
        """Takes what was found: the share of `maxmemory`, None where there is no limit."""
        self.share = share or 0.0
        self.full = self.share >= (ADMIT_BELOW if self.full else REFUSE_AT)

    def report(self, health: Health) -> None:
        """Says on `/readyz?verbose` how it is. Never unready: no other process is better off, and the sockets are served."""
        if self.share < self._mark and not self.full:
            health.ok(CHECK)
            return
        # In steps: each new text is a line in the log.
        about = f"Redis has taken about {round(20 * self.share) * 5} % of its maxmemory"
        if self.full:
            health.warn(CHECK, f"{about}: new sockets are refused; make room, or see why nothing is stored")
        else:
            health.warn(CHECK, f"{about}: from {REFUSE_AT:.0%} on new sockets are refused")

    async def watch(self, bus: Bus, health: Health) -> None:
        """Asks Redis, for ever: a task of the service."""
        while True:
            try:
                share = await memory_share(bus)
            except BusError:
                pass  # that it is away is said elsewhere; how full it is then is not known to have changed
            else:
                self.look(share)
                self.report(health)
            await asyncio.sleep(LOOK_S)
