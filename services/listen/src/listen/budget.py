"""What all sockets of a process may hold in memory until Redis has it, and how much of that each one may.

Each may hold a fixed part of what is still free (a dynamic threshold: Choudhury and Hahne, "Dynamic queue length thresholds
for shared-memory packet switches", 1998). So who holds most is stopped first, a process with few sockets gives each as much
as it wants, the sum stays below the limit however many there are, and whatever goes out makes room for all: nobody starves.
Counts, and nothing else: must not know sockets.
"""

from typing import Final

PART_OF_FREE: Final = 8
"""Each socket may hold an eighth of what is free: n of them fill n / (n + 8) of the whole."""
PART_FOR_TAILS: Final = 4
"""Of the whole, for what Redis has confirmed and is kept for writing again: it does not go out, so it must not take all."""
TAIL_BYTES: Final = 256 * 1024
"""Of one socket's tail, at most."""


PART_FOR_UNSENT: Final = 4
"""Of the whole, for what clients do not read: neither must that take all."""
UNSENT_BYTES: Final = (16 * 1024, 256 * 1024)
"""Of one socket: what it may always have, and what at most."""


class Share:
    """What one socket holds of the budget."""

    __slots__ = ("_budget", "held_bytes")

    def __init__(self, budget: "Budget") -> None:
        self._budget = budget
        self.held_bytes = 0

    def weigh(self, held_bytes: int) -> None:
        """The socket holds so much now."""
        self._budget.held_bytes += held_bytes - self.held_bytes
        self.held_bytes = held_bytes

    def leave(self) -> None:
        """The socket is gone, with everything it held."""
        self.weigh(0)
        self._budget.sockets -= 1


class Budget:
    """The budget of one process."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        """In all sockets."""
        self.sockets = 0

    def enter(self) -> Share:
        """One more socket. It must `leave`."""
        self.sockets += 1
        return Share(self)

    @property
    def allowance_bytes(self) -> int:
        """What one socket may hold now; 0 where nothing is free."""
        return max(0, self.limit_bytes - self.held_bytes) // PART_OF_FREE

    @property
    def tail_bytes(self) -> int:
        """What one socket may keep for writing it again."""
        return min(TAIL_BYTES, self.limit_bytes // PART_FOR_TAILS // max(1, self.sockets))

    @property
    def unsent_bytes(self) -> int:
        """What may wait for one client to read it; who reads less is cut off."""
        least, most = UNSENT_BYTES
        return max(least, min(most, self.limit_bytes // PART_FOR_UNSENT // max(1, self.sockets)))
