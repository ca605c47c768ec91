"""When an object that could not be moved is looked at again: after 15 s, then after twice as long each time. Pure.

Looking costs several reads of it, and a line in the log: hundreds of damaged ones must not take the time of those that are whole. It is
forgotten with the process, and holds no more than `MOST` names: what is beyond is looked at each time.
"""

from collections.abc import Iterable
from typing import Final

FIRST_MS: Final = 15_000
LONGEST_MS: Final = 900_000
MOST: Final = 10_000


class Patience:
    """Name -> when to look next (unix ms), and how long the pause before that was (ms)."""

    def __init__(self) -> None:
        self._table: dict[str, tuple[int, int]] = {}

    def is_early(self, name: str, now_ms: int) -> bool:
        """Whether it is to be passed over for now. A clock that was put back makes no pause longer."""
        next_ms, pause_ms = self._table.get(name, (0, 0))
        return 0 < next_ms - now_ms <= pause_ms

    def stays(self, name: str, now_ms: int) -> None:
        """It was looked at, and could not be moved."""
        if name not in self._table and len(self._table) >= MOST:
            return
        _, pause_ms = self._table.get(name, (0, 0))
        pause_ms = min(2 * pause_ms, LONGEST_MS) or FIRST_MS
        self._table[name] = (now_ms + pause_ms, pause_ms)

    def forget(self, name: str) -> None:
        """Nothing stands in its way any more."""
        self._table.pop(name, None)

    def keep_only(self, names: Iterable[str]) -> None:
        """These are all that there are."""
        there = set(names)
        self._table = {name: when for name, when in self._table.items() if name in there}
