"""When Redis' memory is short, and which buffers are stored early then. Pure: shares, sizes and `now` in, decisions out.

Owns the mark, the order and how many at a time. It neither asks Redis nor cuts: `relief` asks, hints, and lets the cutter know.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from audiobus.buffer_size import BufferSize

REFUSED_AT: Final = 0.9
"""Of maxmemory: from here on `listen` lets no new sessions in."""
BELOW: Final = 0.02
"""So far below the mark it must come until it is no longer short: else it would be by the next chunk."""
MOST_HINTED: Final = 256
"""Hints that may lie unread while more are given: the pushers are busy enough with those, and the sizes change."""
MEASURED_MS: Final = 20_000
"""An order is followed this long; then the sizes are taken again, and no sooner: each time every buffer of the server is asked."""


@dataclass(slots=True)
class Pressure:
    """What was found last."""

    mark: float
    """The share of maxmemory from which on buffers are stored early."""
    share: float = 0.0
    """Of the fullest master; 0 where none has a limit."""
    short: bool = False
    _queue: list[BufferSize] = field(default_factory=list)
    """Those to be stored early, the next one last."""
    _measured_ms: int = -(10**15)

    def look(self, share: float | None) -> None:
        """Takes how full Redis is."""
        self.share = share or 0.0
        self.short = self.share >= (self.mark - BELOW if self.short else self.mark)
        if not self.short:
            self._queue.clear()

    def is_full(self, share: float | None) -> bool:
        """Whether a server of this share has to give."""
        return share is not None and share >= self.mark - BELOW

    def wants_sizes(self, now_ms: int) -> bool:
        """Whether the buffers must be measured before `next`."""
        # Farther ahead than it can be: the clock was put back.
        return self.short and not 0 <= now_ms - self._measured_ms < MEASURED_MS

    def measured(self, sizes: Iterable[BufferSize], floor_ms: int, now_ms: int) -> None:
        """Takes what lies on the servers that have to give."""
        worth = [size for size in sizes if size.waiting_ms >= floor_ms]
        self._queue = sorted(worth, key=_rank, reverse=True)
        self._measured_ms = now_ms

    def next(self, unread: int) -> list[BufferSize]:
        """Whom to hint at now, the first one first. `unread`: hints that nobody has followed yet."""
        count = max(0, min(len(self._queue), MOST_HINTED - unread))
        chosen = self._queue[len(self._queue) - count :][::-1]
        del self._queue[len(self._queue) - count :]
        return chosen

    def report(self) -> str | None:
        """What an operator must hear; None where memory is not short. In steps: each new text is a line in the log."""
        if not self.short:
            return None
        about = f"Redis has taken about {round(20 * self.share) * 5} % of its maxmemory"
        if self.share >= 1:
            return f"{about} and refuses writes: make room, or see why nothing is stored"
        if self.share >= REFUSED_AT:
            return f"{about}: new sessions are refused, what waits is stored early; see that it is"
        return f"{about}: what waits is stored early, the largest and oldest first"


def _rank(one: BufferSize) -> tuple[int, int]:
    """The smaller, the sooner: a buffer of twice the size before, and of those of about one size the oldest."""
    return -one.size_bytes.bit_length(), one.oldest_ms
