"""The scheduler: turns what is past due into hints, and finds buffers that are not on `due`.

Every pusher runs one; that several do the same costs a hint too many, which is harmless. `due` can be behind the buffers: a crash, a
failover that lost it, a backup of an hour ago. So all buffers are walked over each ten minutes, and at once when Redis is another than before.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

from audiobus.bus import Bus
from audiobus.chunk import decode_chunk
from audiobus.connection import translated
from audiobus.errors import BadEntryError, BusError, BusUnavailableError
from audiobus.hints import SCHEDULE_LIMIT, Hints
from audiobus.replication_id import histories
from audiobus.servers import SCAN_COUNT, servers
from pusher.metrics import PusherMetrics
from pusher.unstored import Unstored
from servicekit.stop import Stop

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
WALK_S: Final = 600.0
FIRST_WALK_S: Final = 30.0
"""The first walk comes within so many seconds after the start, so that pushers that start together do not walk together."""
SPREAD_MS: Final = 30_000
"""What a walk finds falls due within this time, not all at once."""
WALK_AGAIN_S: Final = 30.0
"""After a walk that could not be finished: a server was away."""
MOST_READY: Final = 10_000
"""With so many hints that nobody has followed, more of them help nobody: they would grow without bound."""
MOST_READY_EARLY: Final = 512
"""While memory is short: what frees most shall not stand behind thousands that happen to be due."""
CHECKS: Final = 16
"""Conversations looked at in one tick to find the oldest audio."""


@dataclass(slots=True)
class Scheduler:
    """Runs until it is asked to stop."""

    bus: Bus
    hints: Hints
    metrics: PusherMetrics
    unstored: Unstored
    lease_ms: int
    age_ms: int
    """Younger audio need not be looked at again for the gauge."""
    now_ms: Callable[[], int]
    early: Callable[[], bool] = lambda: False
    """Whether Redis' memory is short."""
    rng: random.Random = field(default_factory=random.Random)
    _histories: frozenset[str] = frozenset()
    """Those that were met so far."""
    _lost: bool = False

    def lost(self) -> None:
        """Something that was in Redis is no longer there: `due` may be behind."""
        self._lost = True

    async def run(self, stop: Stop) -> None:
        """A tick a second, a walk in ten minutes or when Redis is another; goes on whatever happens to Redis."""
        clock = asyncio.get_running_loop()
        walk_at = clock.time() + self.rng.uniform(0, FIRST_WALK_S)
        while not stop.is_set():
            try:
                await self.tick()
                if await self.is_another() or clock.time() >= walk_at:
                    walk_at = clock.time() + WALK_AGAIN_S
                    await self.walk()
                    self._lost = False
                    walk_at = clock.time() + WALK_S
            except BusError as error:
                log.warning("scheduling failed", extra={"error": str(error)})
            except Exception:
                # A defect, ours or a library's: without a scheduler whatever has no hint would wait for ever.
                log.critical("scheduling broke", exc_info=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK_S)

    async def tick(self) -> None:
        """Hints at everything that is past due; each of it first gets a due time one lease ahead."""
        lag = 0
        most = MOST_READY_EARLY if self.early() else MOST_READY
        for partition in range(self.bus.keys.partitions):
            ready = await self.hints.unfollowed(partition)
            lag += ready
            hinted = SCHEDULE_LIMIT
            while hinted == SCHEDULE_LIMIT and ready < most:
                now_ms = self.now_ms()
                hinted = await self.hints.schedule(partition, now_ms, now_ms + self.lease_ms)
                ready += hinted
        self.metrics.ready_lag.set(lag)
        await self._look_at_oldest()

    async def is_another(self) -> bool:
        """Whether Redis is not the one that it was at the last look: restarted, failed over, restored, or emptied."""
        found = await histories(self.bus)
        known, self._histories = self._histories, self._histories | found
        if known and not found <= known:
            self.metrics.redis_histories.inc()
            log.warning(
                "Redis is another than before: every buffer is looked for, and what it lost is looked for in the bucket"
            )
            self._lost = True
        return self._lost

    async def walk(self) -> int:
        """Puts every buffer on `due` that is missing there, and counts the dead letters; how many buffers there are.

        Raises:
            BusUnavailableError: not all servers could be walked; those that answer were.
        """
        buffers = 0
        away: BusUnavailableError | None = None
        for server in await servers(self.bus):
            try:
                async for keys in server.streams(self.bus.keys.audio_pattern()):
                    buffers += len(keys)
                    await self._put_on_due(keys)
            except BusUnavailableError as error:
                away = error
        if away is not None:
            raise away
        await self._count_dead()
        for partition in range(self.bus.keys.partitions):
            await self.hints.drop_consumers(partition)
        return buffers

    async def _count_dead(self) -> None:
        """And puts on `due` what has letters that an operator wants tried again: it may have no buffer."""
        dead = 0
        marked: list[bytes] = []
        client = cast("Any", self.bus.client)
        with translated("walk"):
            async for key in client.scan_iter(match=self.bus.keys.dead_pattern(), count=SCAN_COUNT):
                dead += int(await client.hlen(key))
                conversation = self.bus.keys.conversation_of(key)
                if conversation is not None and await client.hexists(
                    self.bus.keys.conv(conversation), "again"
                ):
                    marked.append(key)
        self.metrics.dead_letters.value = dead
        await self._put_on_due(marked)

    async def _put_on_due(self, keys: list[bytes]) -> None:
        named = dict.fromkeys(self.bus.keys.conversation_of(key) for key in keys)
        # None: not a key of ours.
        await self.hints.put_on_due(
            [(one, self.now_ms() + self.rng.randrange(SPREAD_MS)) for one in named if one is not None]
        )

    async def _look_at_oldest(self) -> None:
        """Keeps the gauge true: another pusher may have stored what was the oldest here."""
        for _ in range(CHECKS):
            oldest = self.unstored.oldest()
            if oldest is None or self.now_ms() - oldest[1] < self.age_ms:
                break
            conversation, since_ms = oldest
            found = since_ms
            entries = await self.bus.read(conversation, count=4)
            chunks = [entry.chunk for entry in entries if entry.chunk is not None]
            if chunks:
                with suppress(BadEntryError):
                    found = decode_chunk(chunks[0]).at_ms
            self.unstored.saw(conversation, found if chunks else None)
            if chunks and found == since_ms:
                break
        self.metrics.oldest_unstored.set(self.unstored.age_seconds(self.now_ms()))
