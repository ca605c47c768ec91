"""When a child that died is started again: at once at first, with a small growing pause if it keeps dying young.

Must not do: wait, or read a clock.
"""

from dataclasses import dataclass

YOUNG_S = 5.0
"""A child that lived longer has done its work: its death begins a new count."""
AT_ONCE = 3
"""So many young deaths in a row get no pause."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
DOUBLINGS_MOST = 10
"""Long past the longest pause: a child may die for as long as it likes."""


@dataclass(slots=True)
class Restarts:
    """The deaths of one child."""

    young_deaths: int = 0

    def pause_s(self, lived_s: float) -> float:
        """Note a death; how long to wait before the next start."""
        self.young_deaths = self.young_deaths + 1 if lived_s < YOUNG_S else 1
        if self.young_deaths <= AT_ONCE:
            return 0.0
        doublings = min(self.young_deaths - AT_ONCE - 1, DOUBLINGS_MOST)
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**doublings)
