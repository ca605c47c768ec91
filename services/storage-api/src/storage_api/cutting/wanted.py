"""What is to be deleted: objects as a whole, and stretches of time. Pure. Positions are samples at 48 kHz since 1970."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from storage_api.moments import MAX_SECONDS, RATE
from storage_api.timeline import ObjectKey

FOREVER: Final = (MAX_SECONDS + 1) * RATE
"""Later than any sample: an end that was left open."""

Window = tuple[int, int]
"""From a sample up to before another."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one request asks for."""

    windows: tuple[Window, ...] = ()
    keys: frozenset[ObjectKey] = frozenset()
    """Objects that go as a whole."""

    def touches(self, start_48k: int, end_48k: int) -> bool:
        """Whether anything from there up to there is in a window. What lasts no time is where it begins."""
        end_48k = max(end_48k, start_48k + 1)
        return any(start < end_48k and start_48k < end for start, end in self.windows)

    def covers(self, start_48k: int, end_48k: int) -> bool:
        """Whether all of that is in one window."""
        end_48k = max(end_48k, start_48k + 1)
        return any(start <= start_48k and end_48k <= end for start, end in self.windows)

    def up_to(self, latest_48k: int) -> "Wanted":
        """The same without what lies after this: what is recorded later was not meant."""
        windows = ((start, min(end, latest_48k)) for start, end in self.windows)
        return Wanted(tuple(window for window in windows if window[0] < window[1]), self.keys)

    def left_of(self, start: int, end: int) -> list[Window]:
        """The parts of a stretch that no window touches, in order."""
        return _left([(start, end)], self.windows)


def _left(stretches: list[Window], windows: Iterable[Window]) -> list[Window]:
    for start, end in windows:
        parts = [part for a, b in stretches for part in ((a, min(b, start)), (max(a, end), b))]
        stretches = [(a, b) for a, b in parts if a < b]
    return stretches
