"""When a connection is read: while its wire wants it, and not while it rests from what it had the process do.

Owns what one socket may take of the process before the others have their turn. libuv reads up to 32 times whenever there is
something, so a client that floods tiny frames would have all others wait for tens of thousands of them. Must not know what a
frame is.
"""

import asyncio
from typing import Final

from listen.floods import REST_TIMES, Floods

READ_BYTES: Final = 32 * 1024
"""What one read takes at the most: bounds the parser's memory, and what comes after a pause."""
LEAST_BYTES: Final = 512
"""What one read of a flood may take, however much a byte costs. Shorter reads are not measured."""
AT_ONCE_S: Final = 0.002
"""Work that a socket may cause at once; then it rests."""
WORTH_S: Final = 0.00005
"""Reads that took less need not be charged: 32 of them are nothing."""
FRAME_MOST_S: Final = 0.0005
"""One frame counts for no more: what took longer was another process, or the collector."""


class Reading:
    """Whether one connection is read, and how much at once."""

    __slots__ = ("_ended_s", "_floods", "_spent_s", "_transport", "_wanted", "most_bytes", "rests")

    def __init__(self, transport: asyncio.Transport, floods: Floods) -> None:
        """Of a connection that is not read."""
        self._floods = floods
        self.most_bytes = READ_BYTES
        """What the next read may take."""
        self._transport = transport
        self._wanted = False
        self.rests = False
        """Whether it waits for its turn: nothing is heard from it meanwhile."""
        self._spent_s = 0.0
        """Seconds of work, less what time has made good."""
        self._ended_s = 0.0
        """When the last of it ended."""

    def pause(self) -> None:
        """Its wire wants nothing more for now."""
        self._wanted = False
        if not self.rests:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Its wire wants more."""
        self._wanted = True
        if not self.rests:
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
        if self.rests or self._transport.is_closing():
            return
        self.rests = True
        if self._wanted:
            self._transport.pause_reading()
        self._floods.begin(self, self._spent_s)

    def rested(self) -> bool:
        """Its turn has come. False: it is over, and the next one may have it."""
        self.rests = False
        self._spent_s = 0.0
        if self._transport.is_closing():
            return False
        if self._wanted:
            self._transport.resume_reading()
        return True
