"""What Redis lost of sessions whose sockets are gone: found, counted once among all processes, and told.

One task of the process; the rules are `former_sessions`'. While there is no session that may lie in Redis alone it asks nothing; else one
command every two seconds, of a cluster one to each master, tells whether Redis is still the same. With the process its knowledge ends.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from audiobus import Bus
from audiobus.errors import BusError, BusUnavailableError
from audiobus.losses import claim, extents
from audiobus.replication_id import histories
from listen.backend import now_ms
from listen.former_sessions import FormerSessions, Loss
from listen.metrics import ListenMetrics

log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
PAGE: Final = 500
"""Sessions looked at in one go."""
FAILURES_MOST: Final = 3
"""Redis did not answer so often: the rest is for the next look."""


class LossWatch:
    """Looks after the sessions that `former` holds."""

    def __init__(self, bus: Bus, former: FormerSessions, metrics: ListenMetrics) -> None:
        self._bus = bus
        self._former = former
        self._metrics = metrics
        self._name = secrets.token_hex(8)
        """Of this process, in its claims."""
        self._known: frozenset[str] = frozenset()
        """The histories of Redis that were met so far."""

    async def run(self) -> None:
        """Looks, for ever: a task of the service."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._former:
                continue
            try:
                await self.look()
            except BusUnavailableError:
                pass  # that it is away is said elsewhere; what it lost is asked when it is back
            except BusError as error:
                log.warning("not known what Redis lost of former sessions", extra={"error": str(error)})
            except Exception:
                # A defect. It must not end the sockets of this process: they have a task group in common.
                log.critical("looking for what Redis lost broke", exc_info=True)

    async def look(self) -> None:
        """Looks once.

        Raises:
            BusUnavailableError: Redis does not answer; the next look asks for the same.
        """
        found = await histories(self._bus)
        if not found <= self._known:
            self._known |= found
            self._former.suspect()
        await self._follow(self._former.untold(), self._tell)
        losses: list[Loss] = []
        keys = self._former.due(now_ms())
        for at in range(0, len(keys), PAGE):
            page = keys[at : at + PAGE]
            for key, extent in zip(page, await extents(self._bus, page), strict=True):
                if (loss := self._former.looked(key, extent, now_ms())) is not None:
                    losses.append(loss)
        await self._follow(losses, self._count)

    async def _follow(self, losses: list[Loss], work: Callable[[Loss], Awaitable[None]]) -> None:
        """Goes through them. A master that is away spoils none of the others', and is not waited for a hundred times."""
        failures = 0
        for loss in losses:
            try:
                if failures < FAILURES_MOST:
                    await work(loss)
                    continue
            except BusUnavailableError:
                failures += 1
            self._former.again(loss)

    async def _tell(self, loss: Loss) -> None:
        """An open socket has counted it: no other process shall."""
        await self._claim(loss, "open")

    async def _count(self, loss: Loss) -> None:
        """Counts what nobody has counted, unless it was deleted: then nobody misses it."""
        marks = await self._bus.marks(loss.key[0])
        if not marks.deleted and marks.before_ms < loss.left_ms:
            seconds = await self._claim(loss, "former") * loss.samples_per_byte / 48_000
            if seconds > 0:
                self._metrics.audio_lost.inc(seconds)
                log.error(
                    "Redis lost what it had confirmed to a socket that is gone",
                    extra={"conversation_id": loss.key[0].cid, "about_seconds": seconds},
                )
        self._former.counted(loss)

    async def _claim(self, loss: Loss, what: str) -> int:
        conversation, epoch = loss.key
        who = f"{self._name}/{what}/{loss.upto}"
        return await claim(self._bus, conversation, epoch, loss.since, loss.upto, who=who)
