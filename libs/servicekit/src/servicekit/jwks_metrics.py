"""What is measured of the issuer's key set: whether fetching it works, and how old what we have is.

Owns the families' names. Must not fetch.
"""

import time
from typing import Final

from servicekit.metrics import Metrics

OUTCOMES: Final = ("ok", "failed")


class JwksMetrics:
    """The families, zero where keys do not come from an issuer."""

    def __init__(self, metrics: Metrics) -> None:
        self._fetches = metrics.counters(
            "jwks_fetches_total", "Fetches of the issuer's key set", outcome=OUTCOMES
        )
        self._age = metrics.gauge(
            "jwks_age_seconds",
            "Since the key set that is used was fetched; +Inf before the first one, 0 where no issuer is asked",
        )
        self._fetched_at_s = float("-inf")

    def watch(self) -> None:
        """An issuer will be asked."""
        self._age.set_function(lambda: time.monotonic() - self._fetched_at_s)

    def fetched(self) -> None:
        """A good set has come."""
        self._fetches["ok"].inc()
        self._fetched_at_s = time.monotonic()

    def failed(self) -> None:
        """None has: the last good one stays."""
        self._fetches["failed"].inc()
