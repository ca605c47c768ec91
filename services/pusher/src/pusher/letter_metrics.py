"""What the pusher counts of dead letters that are tried again, and of hints that come again and again."""

from typing import Final

from servicekit.metrics import Metrics

STORED: Final = "stored"
FOUND: Final = "found"
FAILED: Final = "failed"
WAITS: Final = "waits"


class LetterMetrics:
    """The families, on the registry of `PusherMetrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self.tries = metrics.counters(
            "dead_letter_tries_total",
            "Dead letters tried again: put; found in the bucket; still not storable; something was in the way",
            outcome=[STORED, FOUND, FAILED, WAITS],
        )
        self.redelivered = metrics.counter(
            "redelivered_hints_total",
            "Hints that came for the fifth time or more: draining their conversation does not come to an end",
        )
