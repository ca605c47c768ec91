"""How often somebody may do something: so many at once, and so many again within a time, evenly, for each of many names.

Pure, and bounded in memory. Must not look at a clock (`now` is given), nor know what is counted.
"""

from collections import OrderedDict


class LeakyBuckets:
    """A bucket for each name (GCRA, ITU-T I.371). A name that has been still for `within_s` is as one that never came."""

    def __init__(self, most: int, within_s: float, names: int) -> None:
        """`most` at once, and again within `within_s`; so many `names` are remembered, the latest."""
        self._each_s = within_s / most
        self._within_s = within_s
        self._full_s = within_s - self._each_s
        self._names = names
        self._clear_at_s: OrderedDict[str, float] = OrderedDict()
        """For each name, when its bucket is empty: at most `within_s` from when something was last added."""

    def __len__(self) -> int:
        return len(self._clear_at_s)

    def full(self, name: str, now_s: float) -> bool:
        """Whether one more would be too many."""
        return self._clear_at_s.get(name, 0.0) - now_s > self._full_s

    def add(self, name: str, now_s: float) -> None:
        """One more. The name that came least lately is forgotten, where they are too many.

        A full bucket stays full and grows no further: what was under way when it filled is no debt of those who come later.
        """
        clear_at_s = max(now_s, self._clear_at_s.get(name, 0.0)) + self._each_s
        self._clear_at_s[name] = min(clear_at_s, now_s + self._within_s)
        self._clear_at_s.move_to_end(name)
        if len(self._clear_at_s) > self._names:
            self._clear_at_s.popitem(last=False)

    def take_back(self, name: str) -> None:
        """What was added did not happen."""
        if name in self._clear_at_s:
            self._clear_at_s[name] -= self._each_s
