"""What sockets that have ended used, until it is written: their ends never wait for it.

One task of the process. Nothing is lost with it either: Redis keeps each session's sum beside its audio, and whoever opens or
drains the conversation next writes it (`audiobus.usage`).
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Final

from audiobus import UsageTotal, UserRequest, Writer
from audiobus.errors import BusError
from listen.metrics import ListenMetrics
from servicekit.ending import end

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
PATIENCE_S: Final = 600.0
"""After so long a total is left to whoever comes next."""
MOST: Final = 10_000
"""Users whose totals wait; one more is left to whoever comes next."""
GROUP: Final = 500
"""Users at a time; the writer makes its pipelines of them."""
LAST_S: Final = 0.5
"""How long the process may wait for the last ones at its end."""


class _Waiting:
    """One user's totals, the newest of each session and day."""

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.totals: dict[tuple[int, str], UsageTotal] = {}


class LateUsage:
    """Writes what `put` gives it. `run` does the work."""

    def __init__(self, writer: Writer, metrics: ListenMetrics) -> None:
        self._writer = writer
        self._metrics = metrics
        self._waiting: dict[str, _Waiting] = {}
        """By user."""
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        metrics.usage_waiting.set_function(lambda: len(self._waiting))

    def put(self, uid: str, totals: tuple[UsageTotal, ...]) -> None:
        """Totals to write. A total is a running one: of two, the higher one counts."""
        waiting = self._waiting.get(uid)
        if waiting is None:
            if len(self._waiting) >= MOST:
                self._metrics.usage_late["left"].inc()
                return
            waiting = self._waiting[uid] = _Waiting(time.monotonic())
        for total in totals:
            known = waiting.totals.get((total.day, total.session))
            if known is None or known.ms < total.ms:
                waiting.totals[total.day, total.session] = total
        self._wake.set()

    async def run(self) -> None:
        """Writes until `close`: a task of the service."""
        pause_s = FIRST_PAUSE_S
        while True:
            await self._wake.wait()
            self._wake.clear()
            if await self._write_all():
                pause_s = FIRST_PAUSE_S
            elif not self._closing.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), pause_s)
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
                self._wake.set()
            if self._closing.is_set() and not self._wake.is_set():
                return

    async def close(self, running: asyncio.Task[None], within_s: float = LAST_S) -> None:
        """Lets `run`, which is `running`, end after one more try at what waits, or after a moment: at the latest `within_s`."""
        self._closing.set()
        self._wake.set()
        await asyncio.wait({running}, timeout=min(LAST_S, within_s))
        await end([running])
        if self._waiting:
            self._metrics.usage_late["left"].inc(len(self._waiting))
            log.warning("usage is left to whoever comes next", extra={"users": len(self._waiting)})

    async def _write_all(self) -> bool:
        """One try at everything that waits. Whether it all stands."""
        users = list(self._waiting)
        stand = [await self._write_group(users[at : at + GROUP]) for at in range(0, len(users), GROUP)]
        return all(stand)

    async def _write_group(self, users: list[str]) -> bool:
        return all(await asyncio.gather(*(self._write(uid) for uid in users)))

    async def _write(self, uid: str) -> bool:
        waiting = self._waiting[uid]
        totals = tuple(waiting.totals.values())
        day = totals[0].day if totals else 0
        try:
            written = (await self._writer.look_up_user(UserRequest(uid, day, 0, totals))).written
        except BusError as error:
            log.info("usage waits", extra={"error": str(error)})
            written = False
        if written:
            self._metrics.usage_late["written"].inc()
            waiting.totals = {key: total for key, total in waiting.totals.items() if total not in totals}
        elif time.monotonic() - waiting.since_s > PATIENCE_S:
            self._metrics.usage_late["left"].inc()
            waiting.totals = {}
            written = True
        if not waiting.totals:
            del self._waiting[uid]
        return written
