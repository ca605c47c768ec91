"""How many answers with audio are made and sent at a time, and how many of them may be one caller's.

Owns the places. The more of them are taken, the fewer one caller may have: whoever asks for a second download finds room as long as others
leave some, and however many one caller asks for, a quarter is left for all others. Nothing is set aside for anybody: where all callers together
want more, each gets about as many as the others.
"""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from servicekit.problem import ProblemError
from storage_api.metrics import StorageMetrics

MAX_DOWNLOADS: Final = 32
"""Of one process."""
OWN_TIMES_FREE: Final = 3
"""One caller has fewer than so many times as many as are free: 24 where nobody else has any, 14 where another has as many."""


class Downloads:
    """The places of one process."""

    def __init__(self, metrics: StorageMetrics, limit: int = MAX_DOWNLOADS) -> None:
        self._limit = limit
        self._metrics = metrics
        self._of: Counter[Hashable] = Counter()
        """By caller; those who have none are not in it."""

    @property
    def running(self) -> int:
        """Places taken."""
        return self._of.total()

    @contextmanager
    def slot(self, caller: Hashable) -> Iterator[None]:
        """One of them, while inside. ProblemError 503 `busy` where all are taken, or the caller has its share."""
        free = self._limit - self.running
        if self._of[caller] >= OWN_TIMES_FREE * free:
            whose = "of yours are" if free else "are"
            taken = self._of[caller] if free else self._limit
            detail = f"{taken} downloads {whose} under way; try again"
            raise ProblemError(503, "busy", detail, headers={"Retry-After": "1"})
        self._of[caller] += 1
        self._metrics.downloads.set(self.running)
        try:
            yield
        finally:
            self._of[caller] -= 1
            if not self._of[caller]:
                del self._of[caller]
            self._metrics.downloads.set(self.running)
