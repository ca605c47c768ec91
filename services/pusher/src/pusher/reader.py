"""The reader of one partition's hints: own pending ones first, then new ones, and those that a dead consumer left.

Owns the order of reading. A read is never cancelled: what it was about to return would be pending and forgotten until the next
restart. So it blocks for a second at most, and looks in between whether it shall end.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from audiobus.connection import Client
from audiobus.errors import BusContractError, BusError
from audiobus.hints import Hint, Hints
from pusher.dispatch import Dispatch
from pusher.metrics import CLAIM_DEAD, CLAIM_OWN, PusherMetrics
from servicekit.stop import Stop

log = logging.getLogger(__name__)

BLOCK_MS: Final = 1_000
PENDING: Final = 1_024
"""Own pending hints read at once: more than one process can ever hold of a partition."""
MANY_DELIVERIES: Final = 5
"""A hint that was given to consumers so often is told of."""
PAUSE_S: Final = 0.5
"""After a failed read."""


@dataclass(slots=True)
class Reader:
    """Reads until it is asked to stop. `client` is its own: it blocks."""

    hints: Hints
    client: Client
    dispatch: Dispatch
    metrics: PusherMetrics
    partition: int
    consumer: str
    lease_ms: int
    lost: Callable[[], None] = lambda: None
    """Told that the group was not there: then more may be missing."""

    async def run(self, stop: Stop) -> None:
        """Reads and hands over until `stop`; goes on whatever happens to Redis."""
        fresh = True
        claim_at = 0.0
        failures = self.dispatch.failures
        while not stop.is_set():
            try:
                if fresh or failures != self.dispatch.failures:
                    failures = self.dispatch.failures
                    if await self.hints.make_group(self.partition):
                        # It was not there: this is a new Redis, or one that lost something.
                        self.lost()
                    await self._take_own()
                    fresh = False
                if time.monotonic() >= claim_at:
                    claim_at = time.monotonic() + self.lease_ms / 2000
                    await self._claim()
                await self._take_new()
            except BusError as error:
                fresh = True
                if isinstance(error, BusContractError) and "NOGROUP" in str(error):
                    # Redis lost the group, in a failover or a flush. It is made again from the first hint on.
                    log.warning("the consumer group is gone: making it again")
                    continue
                log.warning("reading hints failed", extra={"error": str(error)})
                await self._pause(stop)
            except Exception:
                # A defect, ours or a library's. A reader that ends would leave its partition to nobody, and nobody would know.
                fresh = True
                log.critical("reading hints broke", exc_info=True)
                await self._pause(stop)

    async def _pause(self, stop: Stop) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE_S)

    async def _take_own(self) -> None:
        """What this consumer was given before and never acknowledged: the process died, or the reply was lost."""
        own = await self.hints.take(
            self.client, self.partition, self.consumer, count=PENDING, block_ms=None, pending=True
        )
        await self._take_over(own, CLAIM_OWN)

    async def _claim(self) -> None:
        """What a consumer that has been silent for a lease left."""
        room = self.dispatch.room
        if room:
            left = await self.hints.claim(self.partition, self.consumer, idle_ms=self.lease_ms, count=room)
            await self._take_over(left, CLAIM_DEAD)

    async def _take_new(self) -> None:
        with suppress(TimeoutError):
            # Not longer than a read would block: whoever asks this process to stop shall not wait for the slowest conversation.
            await asyncio.wait_for(self.dispatch.wait_for_room(), BLOCK_MS / 1000)
        room = self.dispatch.room
        if room:
            new = await self.hints.take(
                self.client, self.partition, self.consumer, count=room, block_ms=BLOCK_MS
            )
            self._hand_over(new)

    async def _take_over(self, hints: list[Hint], kind: str) -> None:
        """Hands over what was given to somebody before, and says which of them come again and again.

        Whoever follows such a one dies, or never comes to an end. It is followed once more all the same: the audio must not be given up.
        """
        if not hints:
            return
        # Before they are followed: this process may not live to tell afterwards.
        deliveries = await self.hints.deliveries(self.partition, count=PENDING)
        for hint in self._hand_over(hints):
            self.metrics.claims[kind].inc()
            if deliveries.get(hint.id, 0) < MANY_DELIVERIES:
                continue
            self.metrics.letters.redelivered.inc()
            log.error(
                "a hint comes again and again: whoever drains its conversation does not come to an end",
                extra={
                    "conversation_id": hint.conversation.cid if hint.conversation else "",
                    "deliveries": deliveries[hint.id],
                    "hint": hint.id.decode(errors="replace"),
                },
            )

    def _hand_over(self, hints: list[Hint]) -> list[Hint]:
        """Those that are followed from now on."""
        return [hint for hint in hints if self.dispatch.take(hint)]
