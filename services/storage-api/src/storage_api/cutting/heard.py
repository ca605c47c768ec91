"""Which pre-roll holds something that is cut out: packets before a batch, of which the batch keeps a copy for its decoder. Pure.

A pre-roll says how long it is, and at which byte of its session it ends. What lies there is told by the objects that hold those bytes, as they were
listed before anything was deleted: it may reach over a gap, for an encoder's packets have one line.
"""

from collections.abc import Iterable

from audiocodec.span import Span
from storage_api.cutting.stretches import Stretches, run_of


class Before:
    """What lies before each byte of each session, as far as objects tell."""

    def __init__(self) -> None:
        self._ending: dict[tuple[str, int, int], Span] = {}

    def add(self, spans: Iterable[Span]) -> None:
        """These are stored; of those that end with the same byte the longest counts."""
        for span in spans:
            key = (span.conversation, span.epoch, span.end_offset)
            known = self._ending.get(key)
            if known is None or known.first_offset > span.first_offset:
                self._ending[key] = span

    def clear_of(
        self, removed: Stretches, conversation_id: str, epoch: int, offset: int, samples: int
    ) -> int | None:
        """How many samples right before that byte hold nothing of `removed`, where the last `samples` of them hold some; None where they hold nothing."""
        distance = 0
        while distance < samples:
            span = self._ending.get((conversation_id, epoch, offset))
            if span is None:
                return None
            end = span.first_sample + span.samples
            first = max(span.first_sample, end - (samples - distance))
            last = removed.last_end(run_of(span), first, end)
            if last is not None:
                return distance + end - last
            if span.starts or span.first_offset >= offset:
                return None
            distance += span.samples + span.lead
            offset = span.first_offset
        return None
