"""When names that must not be in a bucket were deleted from it last, so that no look repeats what was just done. Pure, but for its memory.

Thrift, not safety: what is forgotten is deleted once more, and so is all that another process deleted.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from audiostore.store import Store

REMEMBERED: Final = 20_000
"""Names, each with its bucket."""


@dataclass(slots=True)
class SweptNames:
    """Of all conversations of this process. A name tells its conversation."""

    longest_ms: int
    """Nothing is left out for longer: what is farther ahead was put down before the clock was put back."""
    _again: OrderedDict[tuple[Store, str], tuple[int, int]] = field(default_factory=OrderedDict)
    """By bucket and name: since when it must not be there, and from when on it is deleted again, unix ms."""

    def note(self, store: Store, name: str, since_ms: int, again_ms: int) -> None:
        """It was deleted just now."""
        self._again[store, name] = since_ms, again_ms
        self._again.move_to_end((store, name))
        if len(self._again) > REMEMBERED:
            self._again.popitem(last=False)

    def is_due(self, store: Store, name: str, since_ms: int, now_ms: int) -> bool:
        """Whether it is to be deleted: never before, noted anew since, or long enough ago."""
        known_ms, again_ms = self._again.get((store, name), (None, 0))
        return known_ms != since_ms or not 0 < again_ms - now_ms <= self.longest_ms

    def forget(self, store: Store, name: str) -> None:
        """It is seen to."""
        self._again.pop((store, name), None)
