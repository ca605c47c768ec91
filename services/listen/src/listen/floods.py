"""When sockets go on that rest from what they had the process do: one after another, in the order in which they came.

Owns the queue of a process, and how far apart its turns lie. Must not know what a socket is.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

REST_TIMES: Final = 4
"""Who floods alone rests so much longer than it worked: it gets a fifth of the process."""
CROWD_REST_TIMES: Final = 1
"""Where several flood, the process rests from them at least so much longer than one of them worked: together they get half of it.

Not less: devices that all come back with an hour of audio flood too, and must catch up."""
REST_MOST_S: Final = 0.1
"""The longest time between two turns, whatever the work was."""


class Resting(Protocol):
    """Who waits for its turn."""

    def rested(self) -> bool:
        """Its turn has come. False: it is over, and the next one may have the turn."""


def _uncounted() -> None:
    """Nobody counts."""


class Floods:
    """All sockets of a process that rest.

    One goes on at a time: everybody else waits for the work of one, however many flood.
    """

    def __init__(self, began: Callable[[], None] = _uncounted) -> None:
        """`began` is called whenever a socket begins to rest."""
        self._began = began
        self._waiting: deque[tuple[Resting, float]] = deque()
        """Who rests, and the seconds of work before that; the oldest first. There is a timer as long as somebody does."""

    @property
    def resting(self) -> int:
        """How many do."""
        return len(self._waiting)

    def begin(self, socket: Resting, spent_s: float) -> None:
        """One more rests, after so many seconds of work."""
        self._waiting.append((socket, spent_s))
        self._began()
        if len(self._waiting) == 1:
            self._turn_after(spent_s * REST_TIMES)

    def _turn(self) -> None:
        try:
            while self._waiting and not self._waiting.popleft()[0].rested():
                pass
        finally:
            if self._waiting:
                # Who goes on now works first, for about as long as the next one did. The time is counted from here, not from
                # when this turn was due: turns that come late do not come at once.
                _, spent_s = self._waiting[0]
                flood = 1 + len(self._waiting)
                self._turn_after(spent_s * (1 + max(CROWD_REST_TIMES, REST_TIMES / flood)))

    def _turn_after(self, rest_s: float) -> None:
        asyncio.get_running_loop().call_later(min(REST_MOST_S, rest_s), self._turn)
