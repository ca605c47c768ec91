"""Where one channel of a recording stands in its run, and what it has heard.

Positions are ticks of the format (`audio_format`) since the run's start. Must not know the other channel: `alignment` does.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Channel:
    """One channel."""

    skip: int
    """Ticks that its decoder gives before the first one that belongs here, after every gap."""
    end: int = 0
    """Where its next sample lies; valid where it has joined."""
    plays_from: int = 0
    """What lies before is not played: the lead-in of the device's encoder, or what is stored already."""
    joined: bool = False
    """It has a place in the run: what comes follows on. Else it is placed by the other channel's clock when it speaks."""
    filled_to: int = 0
    """Up to here it is settled: it was silent, or is with an encoder that has ended. Valid where it has not joined."""
    odd: bytes = b""
    """The first byte of a sample of PCM that is not whole yet."""

    awaited: bool = True
    """The other channel waits for it, for a while; not any more once it was filled with silence."""
    heard_ms: int = 0
    """When something came on it last."""
    lasted: int = 0
    """How long that was, in ticks."""
    missed: int = 0
    """How many ticks the other channel has sent since."""
    behind_since_ms: int | None = None
    """Since when the other channel has been ahead; None where it is not."""
    recent: deque[tuple[int, int]] = field(default_factory=deque)
    """When something came, and `end` after it, back to where the other channel may be filled up to."""

    @property
    def standing(self) -> int:
        """Up to where it is known what the channel holds."""
        return self.end if self.joined else self.filled_to

    def begin_run(self) -> None:
        """What follows is another run: it begins at 0."""
        self.end = self.plays_from = self.filled_to = 0
        self.joined, self.awaited = False, True
        self.behind_since_ms = None
        self.missed = 0
        self.recent.clear()

    def resume(self, next_tick: int | None, stored_to: int) -> None:
        """It goes on at `next_tick` (None: it was silent); up to `stored_to` everything is stored, and not played again."""
        self.filled_to = self.plays_from = stored_to
        if next_tick is None:
            self.awaited = False
        else:
            self.end, self.joined = next_tick, True

    def join(self, start: int) -> None:
        """Its audio begins at `start`, with the lead-in."""
        self.end, self.plays_from = start, start + self.skip
        self.joined = self.awaited = True

    def fall_silent(self) -> None:
        """Nobody waits for it any more: it is filled with silence until it speaks again."""
        if self.joined:
            self.filled_to = max(self.filled_to, self.end)
        self.joined = self.awaited = False

    def settle(self, tick: int, longest: int, *, tolerance: int) -> None:
        """An encoder ends at `tick`, as the longest channel stands at `longest`: a shorter one goes on there."""
        self.filled_to = tick
        if self.joined and (behind := longest - self.end) > tolerance:
            self.end += behind
            self.plays_from += behind
