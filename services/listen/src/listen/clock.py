"""Unix time for a process that measures with it: a clock that is set back by little makes it slower, and never stand still or go back.

Small steps are how clocks are kept right. One that stood far ahead is told as it is at once: audio, tokens and due times go by it, and
whoever waits for a moment looks at both sides of it.
"""

import time
from typing import Final, Protocol


class Clocks(Protocol):
    """Where time comes from."""

    def time_ns(self) -> int:
        """Unix ns, which somebody may set."""

    def monotonic_ns(self) -> int:
        """Ns since some moment, which only grow."""


SLEWED_NS: Final = 2_000_000_000
"""Steps back up to here are not followed at once, but at half the pace."""


class SteadyClock:
    """The wall clock, without its small steps back. `clocks` has `time_ns` and `monotonic_ns`, as the module `time` has."""

    def __init__(self, clocks: Clocks = time) -> None:
        self._clocks = clocks
        self._told_ns = clocks.time_ns()
        self._at_ns = clocks.monotonic_ns()

    def now_ms(self) -> int:
        """Unix ms."""
        at_ns, wall_ns = self._clocks.monotonic_ns(), self._clocks.time_ns()
        passed_ns = at_ns - self._at_ns
        # Where even the other one goes back, time has begun anew: somebody simulates it.
        least_ns = self._told_ns + passed_ns // 2
        self._told_ns = (
            max(wall_ns, least_ns) if passed_ns >= 0 and least_ns - wall_ns <= SLEWED_NS else wall_ns
        )
        self._at_ns = at_ns
        return self._told_ns // 1_000_000
