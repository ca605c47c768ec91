"""Makes room in Redis when its memory is short: hints at the largest and oldest buffers, until it is no longer.

Owns looking and hinting; `pressure` decides. Every pusher looks, because each cuts early by itself; one at a time measures and hints, by a lease
in Redis. That is thrift: two of them would hint twice, which is harmless.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from audiobus.buffer_size import BufferSize, buffer_sizes
from audiobus.bus import Bus
from audiobus.errors import BusError, BusUnavailableError
from audiobus.hints import Hints
from audiobus.memory import memory_shares
from audiobus.script import script
from audiobus.servers import Server
from pusher.metrics import PusherMetrics
from pusher.pressure import Pressure
from pusher.reason import Reason
from servicekit.health import Health
from servicekit.stop import Stop

log = logging.getLogger(__name__)

CHECK: Final = "redis memory"
LOOK_S: Final = 2.0
LEASE_MS: Final = 10_000


@dataclass(slots=True)
class Relief:
    """Looks every two seconds."""

    bus: Bus
    hints: Hints
    metrics: PusherMetrics
    health: Health
    pressure: Pressure
    holder: str
    floor_ms: int
    """A buffer with less audio gives nothing worth a write to the bucket."""
    now_ms: Callable[[], int]
    serving: Callable[[], bool] = lambda: True
    """Whether there is a bucket to store in: hints would change nothing."""

    def early(self) -> bool:
        """Whether a buffer that is looked at anyway gives what it has."""
        return self.pressure.short

    async def run(self, stop: Stop) -> None:
        """Looks until `stop`; goes on whatever happens to Redis."""
        while not stop.is_set():
            try:
                await self.look()
            except BusError as error:
                log.warning("how full Redis is cannot be seen", extra={"error": str(error)})
            except Exception:
                # A defect: nothing else would make room.
                log.critical("making room in Redis broke", exc_info=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_S)

    async def look(self) -> int:
        """Looks once, and hints where memory is short; at how many."""
        shares = await memory_shares(self.bus)
        self.pressure.look(max((share for _, share in shares if share is not None), default=None))
        self.metrics.redis_memory.set(self.pressure.share)
        report = self.pressure.report()
        if report is None:
            self.health.ok(CHECK)
            return 0
        self.health.warn(CHECK, report)
        if not self.serving() or not await self._is_mine():
            return 0
        if self.pressure.wants_sizes(self.now_ms()):
            full = [server for server, share in shares if self.pressure.is_full(share)]
            sizes = [size for server in full for size in await self._sizes(server)]
            self.pressure.measured(sizes, self.floor_ms, self.now_ms())
        chosen = self.pressure.next(await self._unread())
        hinted = await self.hints.ready_together([one.conversation for one in chosen], Reason.PRESSURE.value)
        self.metrics.early_hints.inc(hinted)
        return hinted

    async def _is_mine(self) -> bool:
        key = self.bus.keys.pressure_lease()
        try:
            return bool(await script("lease").run(self.bus.client, [key], [self.holder, LEASE_MS]))
        except BusUnavailableError:
            # Of a cluster, the master with the lease: others are short of memory all the same.
            return True

    async def _sizes(self, server: Server) -> list[BufferSize]:
        found: list[BufferSize] = []
        try:
            async for keys in server.streams(self.bus.keys.audio_pattern()):
                named = dict.fromkeys(self.bus.keys.conversation_of(key) for key in keys)
                # None: not a key of ours.
                found += await buffer_sizes(self.bus, [one for one in named if one is not None])
        except BusUnavailableError as error:
            log.warning(
                "what is large in a Redis that is short of memory cannot be seen", extra={"error": str(error)}
            )
        return found

    async def _unread(self) -> int:
        """Of the partitions that answer."""
        counts = await asyncio.gather(*(self._unfollowed(one) for one in range(self.bus.keys.partitions)))
        return sum(counts)

    async def _unfollowed(self, partition: int) -> int:
        try:
            return await self.hints.unfollowed(partition)
        except BusUnavailableError:
            return 0
