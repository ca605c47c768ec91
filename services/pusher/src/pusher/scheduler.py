"""The scheduler: turns what is past due into hints, and finds buffers that are not on `due`.

Every pusher runs one; that several do the same costs a hint too many, which is harmless.
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
from audiobus.errors import BadEntryError, BusError
from audiobus.hints import SCHEDULE_LIMIT, Hints
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
SCAN_COUNT: Final = 500
MOST_READY: Final = 10_000
"""With so many hints that nobody has followed, more of them help nobody: they would grow without bound."""
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
    rng: random.Random = field(default_factory=random.Random)

    async def run(self, stop: Stop) -> None:
        """A tick a second, a walk in ten minutes; goes on whatever happens to Redis."""
        clock = asyncio.get_running_loop()
        walk_at = clock.time() + self.rng.uniform(0, FIRST_WALK_S)
        while not stop.is_set():
            try:
                await self.tick()
                if clock.time() >= walk_at:
                    walk_at = clock.time() + WALK_S
                    await self.walk()
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
        for partition in range(self.bus.keys.partitions):
            ready = int(await self.bus.command("XLEN", self.bus.keys.ready(partition)))
            lag += ready
            hinted = SCHEDULE_LIMIT
            while hinted == SCHEDULE_LIMIT and ready < MOST_READY:
                now_ms = self.now_ms()
                hinted = await self.hints.schedule(partition, now_ms, now_ms + self.lease_ms)
                ready += hinted
        self.metrics.ready_lag.set(lag)
        await self._look_at_oldest()

    async def walk(self) -> int:
        """Puts every buffer on `due` that is missing there, and counts the dead letters; how many buffers there are."""
        keys: list[bytes] = []
        buffers = 0
        with translated("walk"):
            client = cast("Any", self.bus.client)
            # On a cluster redis-py asks every master.
            async for key in client.scan_iter(
                match=self.bus.keys.audio_pattern(), count=SCAN_COUNT, _type="stream"
            ):
                keys.append(key)
                buffers += 1
                if len(keys) == SCAN_COUNT:
                    await self._put_on_due(keys)
                    keys = []
            await self._put_on_due(keys)
            dead = 0
            async for key in client.scan_iter(match=f"{self.bus.keys.prefix}dead:{{*}}", count=SCAN_COUNT):
                dead += int(await client.hlen(key))
        self.metrics.dead_letters.value = dead
        return buffers

    async def _put_on_due(self, keys: list[bytes]) -> None:
        pipeline = cast("Any", self.bus.client).pipeline(transaction=False)
        for key in keys:
            try:
                conversation = self.bus.keys.conversation_of_audio(key)
            except ValueError:
                continue  # not a key of ours
            due = self.bus.keys.due(self.bus.keys.partition(conversation))
            at_ms = self.now_ms() + self.rng.randrange(SPREAD_MS)
            # NX: what is there keeps its time.
            pipeline.execute_command("ZADD", due, "NX", at_ms, conversation.tag)
        await pipeline.execute()

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
