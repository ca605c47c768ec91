"""Two channels of one recording, aligned by their sample clocks: where one joins, and when it is filled with silence.

A channel's audio follows where that channel stands. Only one that is behind, and on which nothing came for a while, is filled
with silence; when it speaks again it is placed by the clock of the other one. Nothing taken is ever dropped. Wall time
is looked at only to tell silence, and silence is what the other channel is heard in: a stall of the line with a burst after
it moves nothing, as both channels stood still together. Must not know offsets or encoders.
"""

from collections.abc import Sequence
from typing import Final

from listen.channel import Channel

SILENT_MS: Final = 200
"""A channel that is behind is silent when the other one was heard for longer than this (and what its own last message lasted)."""
AHEAD_MS: Final = 8_000
"""A channel may be ahead by so much: it is what waits in memory. At more the other one is filled at once."""


class Alignment:
    """The two channels of one recording."""

    def __init__(self, channels: Sequence[Channel], ticks_a_ms: int) -> None:
        self._near, self._far = channels
        self._ticks_a_ms = ticks_a_ms
        self._ahead_most = AHEAD_MS * ticks_a_ms

    @property
    def waiting(self) -> bool:
        """Whether one channel is behind and still waited for."""
        behind, ahead = self._in_order()
        return behind.awaited and ahead.joined and behind.standing < ahead.end

    def place(self, channel: Channel, ticks: int, now_ms: int) -> None:
        """A channel speaks (again) with a message of `ticks`: where it ends, the other channel ends now.

        But not before what it was filled up to; there the lead-in does not count, as it is not played. And where the other
        one's audio came faster than it was recorded, in a burst, a channel that is still waited for begins with the run.
        """
        other = self._other(channel)
        start = channel.filled_to - channel.skip
        if other.joined:
            by_clock = max(start, other.end - ticks)
            since_ms = now_ms if channel.behind_since_ms is None else channel.behind_since_ms
            if not channel.awaited or 2 * (now_ms - since_ms) * self._ticks_a_ms >= by_clock - start:
                start = by_clock
        channel.join(start)

    def heard(self, channel: Channel, now_ms: int, lasted_ms: int) -> None:
        """A channel's message was taken; it lasts `lasted_ms`."""
        channel.heard_ms, channel.lasted_ms = now_ms, lasted_ms
        recent = channel.recent
        if recent and recent[-1][0] == now_ms:
            recent.pop()
        recent.append((now_ms, channel.end))
        while len(recent) > 1 and recent[1][0] <= now_ms - SILENT_MS:
            recent.popleft()
        for one, other in ((self._near, self._far), (self._far, self._near)):
            if one.standing >= other.standing:
                one.behind_since_ms = None
            elif one.behind_since_ms is None:
                one.behind_since_ms = now_ms

    def fill(self, now_ms: int) -> Channel | None:
        """Fills the channel that is behind with silence, if it is time; answers it."""
        behind, ahead = self._in_order()
        if not ahead.joined or ahead.end == behind.standing:
            return None
        too_far = ahead.end - behind.standing >= self._ahead_most
        if behind.awaited and not too_far and not _silent(behind, ahead):
            return None
        behind.fall_silent()
        # While it is silent, the fill stays SILENT_MS behind, so that it can be placed where it belongs when it speaks again.
        target = ahead.end if too_far else _ended_by(ahead, now_ms - SILENT_MS)
        if target <= behind.filled_to:
            return None
        behind.filled_to = target
        return behind

    def _in_order(self) -> tuple[Channel, Channel]:
        """The channel that is behind, and the one that is ahead."""
        if self._near.standing > self._far.standing:
            return self._far, self._near
        return self._near, self._far

    def _other(self, channel: Channel) -> Channel:
        return self._far if channel is self._near else self._near


def _silent(behind: Channel, ahead: Channel) -> bool:
    """Whether a channel that is waited for keeps the other one waiting for too long.

    A device that sends seconds sends one a second: how long its last message was counts too.
    """
    if behind.behind_since_ms is None:
        return False
    lasted_ms = behind.lasted_ms if behind.heard_ms else ahead.lasted_ms
    return ahead.heard_ms - max(behind.behind_since_ms, behind.heard_ms) > SILENT_MS + lasted_ms


def _ended_by(channel: Channel, at_ms: int) -> int:
    """Where a channel stood at that time, as far back as is remembered."""
    found = 0
    for heard_ms, end in channel.recent:
        if heard_ms > at_ms:
            break
        found = end
    return found
