"""What follows a try that failed: when to come again, and who hears of it.

Owns the booking of one failure, in the order in which it must be: the schedule, the count beside the conversation, the log, and `due` last. What
the failure is, and whether it says something of the bucket, was told before (`guarded_store`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from audiobus import failures
from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.hints import Hints
from pusher.buckets import Buckets
from pusher.errors import KeptBackError
from pusher.guarded_store import is_the_stores, without_names
from pusher.kept_back import KeptBack
from pusher.metrics import PusherMetrics
from pusher.retries import Retries

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FailedTries:
    """Books the failures of a worker's conversations. Everything stays where it is, for as long as it takes."""

    bus: Bus
    hints: Hints
    buckets: Buckets
    retries: Retries
    kept_back: KeptBack
    metrics: PusherMetrics
    now_ms: Callable[[], int]

    async def book(self, conversation: Conversation, error: Exception, *, foreseen: bool = True) -> None:
        """Notes a failure and puts the conversation on `due`. `foreseen`: not a defect, of ours or of a library.

        Raises:
            BusUnavailableError: Redis went away; the hint must stay.
        """
        if isinstance(error, KeptBackError):
            self.metrics.unsealed.inc()
            self.kept_back.waits(conversation, str(error), self.now_ms())
        of_store = is_the_stores(error)
        at_ms = self.retries.failed(conversation, self.now_ms(), of_store=of_store)
        if of_store and not self.buckets.well:
            at_ms = self.buckets.give_back(conversation).until_ms
        why = f"{type(error).__name__}: {without_names(error)}"
        await failures.note(self.bus, conversation, why, self.now_ms())
        level = logging.WARNING if getattr(error, "retryable", False) else logging.CRITICAL
        if of_store and not self.buckets.well:
            level = logging.INFO  # what every conversation meets is told once, by the circuit
        log.log(
            level,
            "a batch could not be stored: it stays in Redis and is tried again",
            extra={"error": why, "retry_in_ms": at_ms - self.now_ms()},
            exc_info=None if foreseen else error,
        )
        await self.hints.push_due(conversation, at_ms)
