"""What the pusher counts of dead letters that are tried again, and of hints that come again and again."""

from typing import Final

from pusher.metrics import PusherMetrics

STORED: Final = "stored"
FOUND: Final = "found"
FAILED: Final = "failed"
WAITS: Final = "waits"


class LetterMetrics:
    """The families, beside those of `PusherMetrics`."""

    def __init__(self, metrics: PusherMetrics) -> None:
        self._metrics = metrics
        self.tries = metrics.process.counters(
            "dead_letter_tries_total",
            "Dead letters tried again: put; found in the bucket; still not storable; something was in the way",
            outcome=[STORED, FOUND, FAILED, WAITS],
        )
        self.redelivered = metrics.process.counter(
            "redelivered_hints_total",
            "Hints that came for the fifth time or more: draining their conversation does not end",
        )

    def stored(self, samples: int, letters: int) -> None:
        """Letters are in the bucket."""
        self._metrics.stored_seconds.inc(samples / 48_000)
        self._metrics.dead_letters.value = max(0, self._metrics.dead_letters.value - letters)
