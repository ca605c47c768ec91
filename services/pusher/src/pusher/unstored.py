"""How old the oldest audio is that is not stored: the one signal that tells the truth about a pusher. Pure but for its table.

Owns what this process saw at its last look at each conversation, and, of all conversations, those with the oldest audio as the census found
them. It can be behind (another pusher may have stored it meanwhile), so whoever shows it looks at the oldest once more before. One pusher
speaks for all.
"""

from dataclasses import dataclass, field

from audiobus.conversation import Conversation


@dataclass(slots=True)
class Unstored:
    """Conversations with audio in their buffers, and since when."""

    speaks: bool = True
    """Whether this process shows the age: with a census, only the one that counts."""
    _since_ms: dict[Conversation, int] = field(default_factory=dict)

    def saw(self, conversation: Conversation, oldest_ms: int | None) -> None:
        """When the oldest chunk in its buffer was made, unix ms; None where there is none."""
        if oldest_ms is None:
            self._since_ms.pop(conversation, None)
        else:
            self._since_ms[conversation] = oldest_ms

    def oldest(self) -> tuple[Conversation, int] | None:
        """The conversation that waits longest, and since when (unix ms)."""
        return min(self._since_ms.items(), key=lambda item: item[1], default=None)

    def age_seconds(self, now_ms: int) -> float:
        """How long it has waited; 0 where nothing waits, or another pusher shows it."""
        oldest = self.oldest() if self.speaks else None
        return max(0, now_ms - oldest[1]) / 1000 if oldest else 0.0
