"""The sample clock of a session: a run's start plus the samples taken since, and when a mark or lateness begins a new run.

The rules of "Time" on the protocol page, as arithmetic. Must not look at any other clock: `now` is given.
"""

from dataclasses import dataclass
from typing import Final

MARK_AHEAD_MS: Final = 50
"""A mark further ahead of the clock than this begins a new run; one closer is drift, which the next gap absorbs."""
MARK_OLDEST_MS: Final = 30 * 24 * 3_600_000
MARK_NEWEST_MS: Final = 60_000
LATE_MS: Final = 1_000
"""Plain audio that is later than this, and stays so, comes after a hole in the recording."""
LATE_FOR_MS: Final = 2_000
BURST_MS: Final = 4_000
"""This much late audio within LATE_FOR_MS is a burst after a stall: the line catches up, nothing is missing."""


@dataclass(slots=True)
class SampleClock:
    """Where the next sample lies."""

    run_start_ms: int
    position: int
    """Samples at 48 kHz since the run's start."""

    @property
    def at_48k(self) -> int:
        """The next sample's time, in samples at 48 kHz since 1970."""
        return self.run_start_ms * 48 + self.position

    def late_ms(self, now_ms: int, samples: int = 0) -> int:
        """How long after its own time audio arrives that ends `samples` after the clock."""
        return now_ms - (self.at_48k + samples) // 48

    def jumped_by(self, at_ms: int) -> bool:
        """Whether a mark at `at_ms` begins a new run. One that lies behind never moves the clock."""
        return at_ms * 48 - self.at_48k > MARK_AHEAD_MS * 48


def mark_is_sane(at_ms: int, now_ms: int) -> bool:
    """Whether a mark may be meant: not older than 30 days, not more than 60 s ahead of the server."""
    return now_ms - MARK_OLDEST_MS <= at_ms <= now_ms + MARK_NEWEST_MS


@dataclass(slots=True)
class Lateness:
    """The lateness of plain audio while it might be a new run: from the first late arrival on."""

    since_ms: int
    smallest_ms: int

    def hear(self, late_ms: int) -> None:
        """One more arrival."""
        self.smallest_ms = min(self.smallest_ms, late_ms)

    def decided(self, now_ms: int) -> bool:
        """Whether all arrivals of two seconds were late: what was held back begins a new run."""
        return now_ms - self.since_ms >= LATE_FOR_MS
