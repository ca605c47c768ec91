"""How fast small chunks go out: a client may cut its audio as small as it likes, but not make Redis work for each piece.

A chunk holds about a second. One that is much smaller ends where a mark, a `finalize` or an end stands; people and devices set
few of those, and for them nothing waits. Whoever sets one before every packet is brought into Redis slowly, which
`pressure` then tells it. Must not look at a clock: `now` is given.
"""

from dataclasses import dataclass
from typing import Final

SMALL_SAMPLES: Final = 4_800
"""100 ms at 48 kHz. What holds more is no small chunk."""
BURST: Final = 64
"""So many may go out at once."""
EACH_MS: Final = 100
"""And one more each time that this has passed."""


@dataclass(slots=True)
class Pace:
    """One session's small chunks (a token bucket)."""

    left: float = BURST
    since_ms: int = 0
    """When `left` was reckoned."""

    def may(self, samples: int, now_ms: int) -> bool:
        """Whether a chunk of so many samples may go out now."""
        if samples >= SMALL_SAMPLES:
            return True
        self.left = min(BURST, self.left + max(0, now_ms - self.since_ms) / EACH_MS)
        self.since_ms = now_ms
        return self.left >= 1

    def went(self, samples: int) -> None:
        """It went out."""
        if samples < SMALL_SAMPLES:
            self.left -= 1
