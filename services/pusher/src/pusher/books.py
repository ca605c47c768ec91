"""The gauges of the books: what all pushers together answer for, shown by one of them at a time.

The others show 0, so that the sum over all pushers and the largest of them are both right. Owns the families, and nothing of how the numbers come
about (`census`).
"""

import math
from typing import Final

from audiobus.census import Balance
from servicekit.metrics import Metrics

PARTS: Final = ("received", "stored", "waiting", "dead", "deleted")
RATE: Final = 48_000


class Books:
    """The gauges, on the registry of a process."""

    def __init__(self, metrics: Metrics) -> None:
        self._waiting = metrics.gauge(
            "audio_waiting_seconds", "Audio in the buffers of all conversations, shown by one pusher"
        )
        self._failing = metrics.gauge(
            "retrying_conversations",
            "Conversations whose last try failed, and of which something is left to store or delete, shown by one pusher",
        )
        self._dead = metrics.gauge(
            "audio_dead_seconds", "Audio in the dead letters of all conversations, shown by one pusher"
        )
        self._balance = metrics.gauges(
            "audio_balance_seconds",
            "Audio of all conversations that Redis knows, by where it is, shown by one pusher: received is the sum of the others",
            part=list(PARTS),
        )
        self._unbalanced = metrics.gauge(
            "unbalanced_conversations",
            "Conversations of which audio was received and is nowhere, or the other way round, shown by one pusher",
        )
        self.deleted_seconds = metrics.counter(
            "audio_deleted_seconds_total", "Audio that was deleted on purpose, from Redis or the bucket"
        )

    def waiting(self, samples: float, failing: float) -> None:
        """What waits in all buffers, at 48 kHz, and of how many conversations the last try failed; NaN where nobody can tell."""
        self._failing.set(failing)
        self._waiting.set(samples / RATE)

    def total(self, total: Balance, unbalanced: int) -> None:
        """The sum over all conversations, and how many of them do not add up."""
        self._dead.set(total.dead / RATE)
        for part in PARTS:
            self._balance[part].set(getattr(total, part) / RATE)
        self._unbalanced.set(unbalanced)

    def unknown(self) -> None:
        """Nobody can tell where any audio is."""
        for gauge in (self._dead, self._unbalanced, *(self._balance[part] for part in PARTS)):
            gauge.set(math.nan)

    def silent(self) -> None:
        """Another pusher shows them."""
        self.waiting(0, 0)
        self.total(Balance(), 0)

    def deleted(self, samples: int) -> None:
        """So much was deleted by this process, at 48 kHz."""
        self.deleted_seconds.inc(max(0, samples) / RATE)
