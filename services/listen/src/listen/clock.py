"""Unix time for a process that measures with it: it never goes back, and never stands still.

The wall clock says when audio was recorded, and everything that has a pause or an age is reckoned in the same time. Where the wall clock is
set back, this one goes on at half the pace until both agree: every pause still ends, at twice its length at most.
"""

import time
from typing import Protocol


class Clocks(Protocol):
    """Where time comes from."""

    def time_ns(self) -> int:
        """Unix ns, which somebody may set."""

    def monotonic_ns(self) -> int:
        """Ns since some moment, which only grow."""


class SteadyClock:
    """The wall clock, without its steps back. `clocks` has `time_ns` and `monotonic_ns`, as the module `time` has."""

    def __init__(self, clocks: Clocks = time) -> None:
        self._clocks = clocks
        self._told_ns = clocks.time_ns()
        self._at_ns = clocks.monotonic_ns()

    def now_ms(self) -> int:
        """Unix ms."""
        at_ns, wall_ns = self._clocks.monotonic_ns(), self._clocks.time_ns()
        passed_ns = at_ns - self._at_ns
        # Where even the other one goes back, time has begun anew: somebody simulates it.
        self._told_ns = max(wall_ns, self._told_ns + passed_ns // 2) if passed_ns >= 0 else wall_ns
        self._at_ns = at_ns
        return self._told_ns // 1_000_000
