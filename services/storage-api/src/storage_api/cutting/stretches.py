"""Sets of recorded samples, told by the run that they belong to, so that each counts once however many objects hold it. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from operator import itemgetter

from audiocodec.span import Span

Run = tuple[str, int, int]
"""The conversation that it was recorded into, the session's epoch, and unix ms of the run's first sample."""


def run_of(span: Span) -> Run:
    """The run that a span is a piece of."""
    return span.conversation, span.epoch, span.run_start_ms


class Stretches:
    """Samples at 48 kHz, counted from the start of their runs."""

    def __init__(self) -> None:
        self._of: dict[Run, list[tuple[int, int]]] = {}

    def add(self, run: Run, start: int, end: int) -> None:
        """The samples from `start` up to before `end` are in it, too."""
        if start >= end:
            return
        known = self._of.setdefault(run, [])
        first = bisect_left(known, start, key=lambda stretch: stretch[1])
        last = first
        while last < len(known) and known[last][0] <= end:
            start, end = min(start, known[last][0]), max(end, known[last][1])
            last += 1
        known[first:last] = [(start, end)]

    def add_span(self, span: Span) -> None:
        """All of a span is in it, too."""
        self.add(run_of(span), span.first_sample, span.first_sample + span.samples)

    def add_all(self, other: "Stretches") -> None:
        """All of another set is in it, too."""
        for run, start, end in other:
            self.add(run, start, end)

    def __iter__(self) -> Iterator[tuple[Run, int, int]]:
        """Run, start and end of each stretch."""
        for run, known in self._of.items():
            for start, end in known:
                yield run, start, end

    def of_run(self, run: Run) -> Sequence[tuple[int, int]]:
        """Start and end of each stretch of the run, in order."""
        return self._of.get(run, ())

    def without(self, other: "Stretches") -> "Stretches":
        """What is in this one and not in the other."""
        left = Stretches()
        for run, start, end in self:
            at = start
            for low, high in other.of_run(run):
                if high <= at or low >= end:
                    continue
                left.add(run, at, low)
                at = max(at, high)
            left.add(run, at, end)
        return left

    def within(self, span: Span) -> list[tuple[int, int]]:
        """Start and end of each stretch of the span's run that reaches into it, in order; the first may begin before it, the last end behind it."""
        known = self._of.get(run_of(span), ())
        first = bisect_right(known, span.first_sample, key=itemgetter(1))
        # What lasts no time is where it begins.
        last = bisect_left(known, span.first_sample + max(1, span.samples), key=itemgetter(0))
        return list(known[first:last])

    def last_end(self, run: Run, start: int, end: int) -> int | None:
        """Where the last of it ends that lies between `start` and `end`; None where nothing does."""
        ends = [min(high, end) for low, high in self._of.get(run, ()) if low < end and start < high]
        return ends[-1] if ends else None

    def samples(self, conversations: Collection[str] | None = None) -> int:
        """How many there are; of runs that were recorded into these conversations, or of all."""
        return sum(
            end - start for run, start, end in self if conversations is None or run[0] in conversations
        )
