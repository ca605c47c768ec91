"""The scheduler: turns what is past due into hints, and finds buffers that are not on `due`.

Every pusher runs one; that several do the same costs a hint too many, which is harmless. `due` can be behind the buffers: a crash, a
failover that lost it, a backup of an hour ago. So all buffers are walked over each ten minutes, and at once when Redis is another than before.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from audiobus.bus import Bus
from audiobus.errors import BusError, BusUnavailableError
from audiobus.hints import SCHEDULE_LIMIT, Hints
from audiobus.look import look_each
from audiobus.replication_id import HistoryWatch
from audiobus.servers import servers
from pusher.letter_count import LetterCount
from pusher.metrics import PusherMetrics
from pusher.next_look import LONGEST_MS
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
    _history: HistoryWatch = field(init=False)
    _lost: int = 0
    """How often something that was in Redis was no longer there."""
    _found: int = 0
    """So many of these a finished walk came after."""
    _ready: dict[int, int] = field(default_factory=dict)
    """Hints of each partition that nobody has followed yet, as they were counted last."""
    _walk_at: float = 0.0
    """By the loop's clock."""

    def __post_init__(self) -> None:
        self._history = HistoryWatch(self.bus)

    def lost(self) -> None:
        """Something that was in Redis is no longer there: `due` may be behind."""
        self._lost += 1

    async def run(self, stop: Stop) -> None:
        """A tick a second for each partition, a walk in ten minutes or when Redis is another; goes on whatever happens to Redis.

        Each in a task of its own: a server of a cluster that is away, or hangs, holds up nothing that lies on another.
        """
        self._walk_at = asyncio.get_running_loop().time() + self.rng.uniform(0, FIRST_WALK_S)
        async with asyncio.TaskGroup() as tasks:
            for partition in range(self.bus.keys.partitions):
                ticks = self._each_second(stop, partial(self.tick, partition))
                tasks.create_task(ticks, name=f"scheduler {partition}")
            tasks.create_task(self._each_second(stop, self.look_around), name="scheduler walk")
            # Beside the walk: that may take long.
            letters = LetterCount(self.bus, self.unstored, self.metrics.dead_letters)
            tasks.create_task(self._each_second(stop, letters.tell), name="scheduler letters")

    async def _each_second(self, stop: Stop, work: Callable[[], Awaitable[None]]) -> None:
        failing = False
        while not stop.is_set():
            try:
                await work()
                failing = False
            except BusError as error:
                if not failing:
                    log.warning("scheduling failed", extra={"error": str(error)})
                failing = True
            except Exception:
                # A defect, ours or a library's: without a scheduler whatever has no hint would wait for ever.
                log.critical("scheduling broke", exc_info=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK_S)

    async def tick(self, partition: int) -> None:
        """Hints at everything that is past due; each of it first gets a due time one lease ahead."""
        ready = self._ready[partition] = await self.hints.unfollowed(partition)
        self.metrics.ready_lag.set(sum(self._ready.values()))
        most = MOST_READY_EARLY if self.early() else MOST_READY
        hinted = SCHEDULE_LIMIT
        while hinted == SCHEDULE_LIMIT and ready < most:
            now_ms = self.now_ms()
            hinted = await self.hints.schedule(partition, now_ms, now_ms + self.lease_ms)
            ready += hinted

    async def look_around(self) -> None:
        """Sees to the gauge of the oldest audio, and walks where it is time, or Redis is another."""
        clock = asyncio.get_running_loop()
        await self._look_at_oldest()
        if await self.is_another() or clock.time() >= self._walk_at:
            self._walk_at = clock.time() + WALK_AGAIN_S
            lost = self._lost
            await self.walk()
            self._found = lost
            self._walk_at = clock.time() + WALK_S

    async def is_another(self) -> bool:
        """Whether Redis is not the one that it was at the last look: restarted, failed over, restored, or emptied."""
        if await self._history.another():
            self.metrics.redis_histories.inc()
            log.warning(
                "Redis is another than before: every buffer is looked for, and what it lost is looked for in the bucket"
            )
            self._lost += 1
        return self._lost > self._found

    async def walk(self) -> int:
        """Puts every buffer on `due` that is missing there, or stands there for a time that only a wrong clock can have meant.

        Counts the dead letters on the way, where this pusher shows them. How many buffers there are.

        Raises:
            BusUnavailableError: not all could be walked over: a server is away. What lies on the others was.
        """
        buffers = dead = 0
        away: list[BusUnavailableError] = []
        for server in await servers(self.bus):
            with _noted(away):
                async for keys in server.streams(self.bus.keys.audio_pattern()):
                    buffers += len(keys)
                    with _noted(away):
                        await self._put_on_due(keys)
            with _noted(away):
                async for keys in server.keys(self.bus.keys.dead_pattern(), "hash"):
                    dead += await self._look_at_letters(keys, away)
        for partition in range(self.bus.keys.partitions):
            with _noted(away):
                await self.hints.drop_consumers(partition)
        if away:
            raise away[0]
        if self.unstored.speaks:
            self.metrics.dead_letters.value = dead
        return buffers

    async def _look_at_letters(self, keys: list[bytes], away: list[BusUnavailableError]) -> int:
        """How many lie there. Puts on `due` what has some that an operator wants tried again: it may have no buffer."""
        dead = 0
        marked: list[bytes] = []
        for key in keys:
            dead += int(await self.bus.command("HLEN", key))
            conversation = self.bus.keys.conversation_of(key)
            if conversation is not None and await self.bus.command(
                "HEXISTS", self.bus.keys.conv(conversation), "again"
            ):
                marked.append(key)
        with _noted(away):
            await self._put_on_due(marked)
        return dead

    async def _put_on_due(self, keys: list[bytes]) -> None:
        named = dict.fromkeys(self.bus.keys.conversation_of(key) for key in keys)
        now_ms = self.now_ms()
        await self.hints.put_on_due(
            # None: not a key of ours.
            [(one, now_ms + self.rng.randrange(SPREAD_MS)) for one in named if one is not None],
            latest_ms=now_ms + LONGEST_MS,
        )

    async def _look_at_oldest(self) -> None:
        """Keeps the gauge true: another pusher may have stored what was the oldest here."""
        for _ in range(CHECKS):
            oldest = self.unstored.oldest()
            if oldest is None or self.now_ms() - oldest[1] < self.age_ms:
                break
            conversation, since_ms = oldest
            try:
                [found] = await look_each(self.bus, [conversation])
            except BusUnavailableError:
                break
            if isinstance(found, BusError):
                break  # its server is away: it goes on growing older
            if self.unstored.saw(conversation, found.oldest_ms, self.now_ms()) == since_ms:
                break
        self.metrics.oldest_unstored.set(self.unstored.age_seconds(self.now_ms()))


@contextmanager
def _noted(away: list[BusUnavailableError]) -> Iterator[None]:
    """What lies on a server that is away is left out; what lies on the others is not."""
    try:
        yield
    except BusUnavailableError as error:
        away.append(error)
