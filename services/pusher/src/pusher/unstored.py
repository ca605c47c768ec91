"""How old the oldest audio is that is not stored: the one signal that tells the truth about a pusher. Pure but for its table.

Owns what this process saw at its last look at each conversation, and, of all conversations, those with the oldest audio as the census found
them. It can be behind (another pusher may have stored it meanwhile), so whoever shows it looks at the oldest once more before. One pusher
speaks for all.

Audio is as old as `listen`'s clock says. Where that is ahead of ours, it waits since it was seen first: else nothing would tell that it does.
"""

import math
from dataclasses import dataclass, field

from audiobus.conversation import Conversation


@dataclass(slots=True)
class Unstored:
    """Conversations with audio in their buffers, and since when."""

    speaks: bool = True
    """Whether this process shows the age: with a census, only the one that counts."""
    known: bool = True
    """Whether anybody could tell what waits; if not, and nothing was seen here either, the age is no number."""
    _seen: dict[Conversation, tuple[int, int]] = field(default_factory=dict)
    """When the oldest chunk was made, as it says, and since when it waits, both unix ms."""

    def saw(self, conversation: Conversation, oldest_ms: int | None, now_ms: int) -> int | None:
        """Takes when the oldest chunk in its buffer was made, unix ms, as it says; None where there is none. Since when it waits."""
        if oldest_ms is None:
            self._seen.pop(conversation, None)
            return None
        since_ms = min(oldest_ms, now_ms)
        before = self._seen.get(conversation)
        if before is not None and before[0] == oldest_ms:
            since_ms = min(since_ms, before[1])
        self._seen[conversation] = (oldest_ms, since_ms)
        return since_ms

    def oldest(self) -> tuple[Conversation, int] | None:
        """The conversation that waits longest, and since when (unix ms)."""
        found = min(self._seen.items(), key=lambda item: item[1][1], default=None)
        return (found[0], found[1][1]) if found else None

    def age_seconds(self, now_ms: int) -> float:
        """How long it has waited; 0 where nothing waits, or another pusher shows it, NaN where nobody can tell."""
        oldest = self.oldest() if self.speaks else None
        if oldest is None:
            return 0.0 if self.known else math.nan
        return max(0, now_ms - oldest[1]) / 1000
