"""In which order the sockets of this process have come to a conversation, when they are told in the time of Redis.

How far that clock stands ahead is an estimate, made again each minute, and off by half of what a command takes there and back. Of two
sockets that came some ms apart, one before and one after a new estimate, the later one would seem the earlier, and be refused, or seem
to have come with it, and the earlier one would stay, half-open, until it appends. The later one is told as the later one.
Pure, and bounded in memory. Must not look at a clock.
"""

from collections import OrderedDict
from typing import Final

from audiobus import Conversation

CONVERSATIONS_LIMIT: Final = 10_000
"""Remembered, the latest ones. A socket comes within ms of the one before it, or the order is plain."""
STEP_MS: Final = 2_000
"""A clock that goes back by more than this was set, or another server has taken its place: then it is followed."""


class Arrivals:
    """The last socket of each conversation: when it came, by the clock of this process and as it was told."""

    def __init__(self) -> None:
        self._last: OrderedDict[Conversation, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._last)

    def in_order(self, conversation: Conversation, arrived_ms: int, told_ms: int) -> int:
        """What to tell of a socket that came at `arrived_ms` (this process) or `told_ms` (Redis), both unix ms."""
        last = self._last.get(conversation)
        if last is not None:
            near = abs(told_ms - last[1]) <= STEP_MS
            if arrived_ms < last[0]:
                return min(told_ms, last[1]) if near else told_ms
            if near:
                told_ms = max(told_ms, last[1] + (arrived_ms > last[0]))
        self._last[conversation] = (arrived_ms, told_ms)
        self._last.move_to_end(conversation)
        if len(self._last) > CONVERSATIONS_LIMIT:
            self._last.popitem(last=False)
        return told_ms
