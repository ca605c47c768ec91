"""Two channels of one recording, aligned by their sample clocks: where one joins, and when it is filled with silence.

A channel's audio follows where that channel stands. Only one that is behind, and on which nothing came for a while, is filled
with silence; when it speaks again it is placed by the clock of the other one. Nothing taken is ever dropped. Silence is what
the other channel is heard in, by the clock on the wall or, as that one stands still in a burst, by what the other one has sent.
A stall of the line with a burst after it moves nothing, as both channels stood still together. Wall time is looked at
only to tell silence, and who spoke last. Must not know offsets or encoders.
"""

from collections.abc import Sequence
from typing import Final

from listen.channel import Channel

SILENT_MS: Final = 200
"""A channel that is behind is silent when the other one was heard for longer than this (and what its own last message lasted)."""
INTERLEAVED_MS: Final = 1_000
"""So much of one channel, and a message of each, may be sent in a row while the other one is not silent."""
JITTER_MS: Final = 50
"""By so much the messages of one time may come apart, but by no more than half a message."""
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

        What has passed since the other one's last message counts, up to `ticks`: it may have stopped. Nothing is placed before
        what was filled; there the lead-in does not count, as it is not played. And where the other one's audio came faster
        than it was recorded, in a burst, a channel that is still waited for begins with the run.
        """
        other = self._other(channel)
        start = channel.filled_to - channel.skip
        if other.joined:
            by_clock = max(start, other.end - ticks)
            since_ms = now_ms if channel.behind_since_ms is None else channel.behind_since_ms
            waited_ms = now_ms - since_ms
            if not channel.awaited or 0 < by_clock - start <= 2 * waited_ms * self._ticks_a_ms:
                start = max(start, other.end - ticks + self._passed(other, ticks, now_ms))
        channel.join(start)

    def heard(self, channel: Channel, now_ms: int, ticks: int) -> None:
        """A channel's message of `ticks` was taken."""
        channel.heard_ms, channel.lasted = now_ms, ticks or channel.lasted
        channel.missed = 0
        self._other(channel).missed += ticks
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
        if behind.awaited and not too_far and not self._silent(behind, ahead):
            return None
        behind.fall_silent()
        # While it is silent, the fill stays behind, so that it can be placed where it belongs when it speaks again.
        target = ahead.end
        if not too_far:
            target = max(_ended_by(ahead, now_ms - SILENT_MS), ahead.end - self._allowance(behind, ahead))
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

    def _silent(self, behind: Channel, ahead: Channel) -> bool:
        """Whether a channel that is waited for keeps the other one waiting for too long, on the wall or in what was sent.

        A device that sends seconds sends one a second: how long its last message was counts too.
        """
        if behind.behind_since_ms is None:
            return False
        if min(behind.missed, ahead.end - behind.standing) > self._allowance(behind, ahead):
            return True
        waited_ms = ahead.heard_ms - max(behind.behind_since_ms, behind.heard_ms)
        return waited_ms * self._ticks_a_ms > SILENT_MS * self._ticks_a_ms + _message(behind, ahead)

    def _allowance(self, behind: Channel, ahead: Channel) -> int:
        """How much one channel may send in a row, in ticks, while the other one is not silent."""
        return (SILENT_MS + INTERLEAVED_MS) * self._ticks_a_ms + _message(behind, ahead) + ahead.lasted

    def _passed(self, other: Channel, ticks: int, now_ms: int) -> int:
        """How much later than the other channel's last message one of `ticks` ends.

        Shortly after it, it is of the same time. One message later the other one's next is due: then it begins where that
        one ends, whether the other one has stopped or only comes second. In a burst nothing has passed.
        """
        passed = max(0, now_ms - other.heard_ms) * self._ticks_a_ms if other.heard_ms else 0
        jitter = min(JITTER_MS * self._ticks_a_ms, other.lasted // 2)
        if passed < jitter:
            return 0
        if abs(passed - other.lasted) <= jitter:
            passed = other.lasted
        return min(passed, ticks)


def _message(behind: Channel, ahead: Channel) -> int:
    """How long the messages of a channel are that is waited for; as the other one's, if it never spoke."""
    return behind.lasted if behind.heard_ms else ahead.lasted


def _ended_by(channel: Channel, at_ms: int) -> int:
    """Where a channel stood at that time, as far back as is remembered."""
    found = 0
    for heard_ms, end in channel.recent:
        if heard_ms > at_ms:
            break
        found = end
    return found
