"""How many requests of a kind are answered at a time, and how many of them may be one caller's.

Owns the places. The more of them are taken, the fewer one caller may have: whoever asks for a second one finds room as long as others leave some,
and however many one caller asks for, a quarter is left for all others. Nothing is set aside for anybody: where all callers together want more, each gets
about as many as the others.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

from servicekit.problem import ProblemError

OWN_TIMES_FREE: Final = 3
"""One caller has fewer than so many times as many as are free: of 32 places 24 where nobody else has any, 14 where another has as many."""

Places = Literal["lists", "flushes", "deletions"]
MOST_LISTS: Final = 32
MOST_FLUSHES: Final = 64
MOST_DELETIONS: Final = 16


def _unseen(_running: int) -> None:
    """Nobody looks."""


class Slots:
    """The places of one process for requests of one kind."""

    def __init__(self, what: str, limit: int, running: Callable[[int], None] = _unseen) -> None:
        """`what` they are called, in the plural; `running`: is told how many places are taken, each time that changes."""
        self._what = what
        self._limit = limit
        self._tell = running
        self._of: Counter[Hashable] = Counter()
        """By caller; those who have none are not in it."""

    @property
    def running(self) -> int:
        """Places taken."""
        return self._of.total()

    @contextmanager
    def slot(self, caller: Hashable, *, shared: bool = True) -> Iterator[None]:
        """One of them, while inside. ProblemError 503 `busy` where all are taken, or, if they are `shared`, the caller has its share."""
        free = self._limit - self.running
        if not free or (shared and self._of[caller] >= OWN_TIMES_FREE * free):
            whose = "of yours are" if free else "are"
            taken = self._of[caller] if free else self._limit
            detail = f"{taken} {self._what} {whose} under way; try again"
            raise ProblemError(503, "busy", detail, headers={"Retry-After": "1"})
        self._of[caller] += 1
        self._tell(self.running)
        try:
            yield
        finally:
            self._of[caller] -= 1
            if not self._of[caller]:
                del self._of[caller]
            self._tell(self.running)


def all_slots() -> dict[Places, Slots]:
    """Those that rows of the table name."""
    return {
        "lists": Slots("lists", MOST_LISTS),
        "flushes": Slots("flushes", MOST_FLUSHES),
        "deletions": Slots("deletions", MOST_DELETIONS),
    }
