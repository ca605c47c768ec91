"""What is to be deleted: objects as a whole, and stretches of time. Pure. Positions are samples at 48 kHz since 1970."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from audiocodec.span import Span
from storage_api.cutting.stretches import Stretches
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
    audio: Stretches = field(default_factory=Stretches)
    """Of these runs alone, wherever it lies that can be read."""
    unread: tuple[Window, ...] = ()
    """When some of that was recorded which may lie in what cannot be read."""

    def of(self, span: Span) -> "Wanted":
        """What is wanted of one span: to be asked about times inside of it."""
        start_48k = span.run_start_ms * 48
        more = tuple((start_48k + start, start_48k + end) for start, end in self.audio.within(span))
        return Wanted((*self.windows, *more)) if more else self

    def touches_span(self, span: Span) -> bool:
        """Whether any of it goes."""
        return self.of(span).touches(span.start_48k, span.end_48k)

    def covers_span(self, span: Span) -> bool:
        """Whether all of it goes, and by one window."""
        return self.of(span).covers(span.start_48k, span.end_48k)

    def names(self, key: ObjectKey, spans: Collection[Span]) -> bool:
        """Whether an object goes by its name. One that holds other audio of ours came to have the name since it was chosen."""
        return key in self.keys and (not spans or any(self.touches_span(span) for span in spans))

    @property
    def of_unreadable(self) -> "Wanted":
        """What is wanted of objects that nobody can read: to be asked about times."""
        return Wanted((*self.windows, *self.unread))

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
        return replace(self, windows=tuple(window for window in windows if window[0] < window[1]))

    def left_of(self, start: int, end: int) -> list[Window]:
        """The parts of a stretch that no window touches, in order."""
        return _left([(start, end)], self.windows)


def _left(stretches: list[Window], windows: Iterable[Window]) -> list[Window]:
    for start, end in windows:
        parts = [part for a, b in stretches for part in ((a, min(b, start)), (max(a, end), b))]
        stretches = [(a, b) for a, b in parts if a < b]
    return stretches
