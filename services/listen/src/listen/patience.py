"""How long the session goes on trying while Redis is away: small growing pauses, and the end after 30 s without progress.

Must not sleep: `now` is given.
"""

from dataclasses import dataclass
from typing import Final

WITHOUT_PROGRESS_MS: Final = 30_000
FIRST_PAUSE_MS: Final = 50
LONGEST_PAUSE_MS: Final = 1_000


@dataclass(slots=True)
class Patience:
    """The state of trying."""

    since_ms: int | None = None
    """When what is being tried was tried first; None while nothing is."""
    pause_ms: int = 0
    again_at_ms: int = 0

    def trying(self, now_ms: int) -> None:
        """Something goes out to Redis."""
        if self.since_ms is None:
            self.since_ms = now_ms

    def worked(self) -> None:
        """Redis answered."""
        self.since_ms = None
        self.pause_ms = self.again_at_ms = 0

    def failed(self, now_ms: int) -> None:
        """Redis did not answer: not again before the pause is over."""
        self.pause_ms = min(LONGEST_PAUSE_MS, max(FIRST_PAUSE_MS, 2 * self.pause_ms))
        self.again_at_ms = now_ms + self.pause_ms
        if self.since_ms is not None:
            self.since_ms = min(self.since_ms, now_ms)

    def may_try(self, now_ms: int) -> bool:
        """Whether the pause is over."""
        return (
            not self.again_at_ms - self.pause_ms <= now_ms < self.again_at_ms
        )  # a clock that was set back puts nothing off

    def exhausted(self, now_ms: int) -> bool:
        """Whether it is time to send the client elsewhere."""
        return self.since_ms is not None and now_ms - self.since_ms >= WITHOUT_PROGRESS_MS
