"""When a connection is read: while its wire wants it, and not while it rests from what it had the process do.

Owns what one socket may take of the process before the others have their turn. libuv reads up to 32 times whenever there is
something, so a client that floods tiny frames would have all others wait for tens of thousands of them. Must not know what a
frame is.
"""

import asyncio
from collections.abc import Callable
from typing import Final

READ_BYTES: Final = 32 * 1024
"""What one read takes at the most: bounds the parser's memory, and what comes after a pause."""
LEAST_BYTES: Final = 512
"""What one read of a flood may take, however much a byte costs. Shorter reads are not measured."""
AT_ONCE_S: Final = 0.002
"""Work that a socket may cause at once; then it rests."""
REST_TIMES: Final = 4
"""It rests so much longer than it worked: all that flood together get a fifth of the process."""
REST_MOST_S: Final = 0.1
"""The longest rest."""
WORTH_S: Final = 0.00005
"""Reads that took less need not be charged: 32 of them are nothing."""
FRAME_MOST_S: Final = 0.0005
"""One frame counts for no more: what took longer was another process, or the collector."""


def _uncounted() -> None:
    """Nobody counts."""


class Floods:
    """All sockets of a process that rest: the more, the longer each of them does."""

    def __init__(self, began: Callable[[], None] = _uncounted) -> None:
        """`began` is called whenever a socket begins to rest."""
        self.resting = 0
        """How many do."""
        self._began = began

    def begin(self) -> None:
        """One more rests."""
        self.resting += 1
        self._began()

    def end(self) -> None:
        """One goes on."""
        self.resting -= 1


class Reading:
    """Whether one connection is read, and how much at once."""

    __slots__ = ("_ended_s", "_floods", "_resting", "_spent_s", "_transport", "_wanted", "most_bytes")

    def __init__(self, transport: asyncio.Transport, floods: Floods) -> None:
        """Of a connection that is not read."""
        self._floods = floods
        self.most_bytes = READ_BYTES
        """What the next read may take."""
        self._transport = transport
        self._wanted = False
        self._resting = False
        self._spent_s = 0.0
        """Seconds of work, less what time has made good."""
        self._ended_s = 0.0
        """When the last of it ended."""

    def pause(self) -> None:
        """Its wire wants nothing more for now."""
        self._wanted = False
        if not self._resting:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Its wire wants more."""
        self._wanted = True
        if not self._resting:
            self._transport.resume_reading()

    def charge(self, size: int, frames: int, began_s: float, ended_s: float) -> None:
        """A read of `size` bytes, with so many frames, has been dealt with between two times of a clock in seconds."""
        spent_s = min(ended_s - began_s, frames * FRAME_MOST_S)
        self._spent_s = max(0.0, self._spent_s - (began_s - self._ended_s) / REST_TIMES) + spent_s
        self._ended_s = ended_s
        if self._spent_s <= AT_ONCE_S:
            self.most_bytes = min(READ_BYTES, self.most_bytes + LEAST_BYTES)
        else:
            if spent_s > 0:
                self.most_bytes = min(READ_BYTES, max(LEAST_BYTES, int(size * AT_ONCE_S / spent_s)))
            self._rest()

    def _rest(self) -> None:
        if self._resting or self._transport.is_closing():
            return
        rest_s = min(REST_MOST_S, self._spent_s * REST_TIMES * (1 + self._floods.resting))
        self._resting = True
        self._floods.begin()
        if self._wanted:
            self._transport.pause_reading()
        asyncio.get_running_loop().call_later(rest_s, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._floods.end()
        self._spent_s = 0.0
        if self._wanted and not self._transport.is_closing():
            self._transport.resume_reading()
