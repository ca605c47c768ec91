"""Conversations that are kept back for want of a key: what an operator must hear of. Pure but for its table.

Owns what this process saw at its last try of each. Another pusher may have stored it meanwhile, so what was not tried again for a while
is forgotten.
"""

from dataclasses import dataclass, field

from audiobus.conversation import Conversation
from pusher.retries import MOST_MS

FORGET_MS = 2 * MOST_MS
"""A conversation that still waits is tried again well within this."""


@dataclass(slots=True)
class KeptBack:
    """The conversations, and why."""

    _why: dict[Conversation, tuple[int, str]] = field(default_factory=dict)

    def waits(self, conversation: Conversation, why: str, now_ms: int) -> None:
        """It was tried now, and something about keys is in its way."""
        self._why[conversation] = (now_ms, why)

    def goes_on(self, conversation: Conversation) -> None:
        """Nothing is in its way (any more)."""
        self._why.pop(conversation, None)

    def complaints(self, now_ms: int) -> list[str]:
        """A line for each reason, with the number of conversations."""
        self._why = {one: seen for one, seen in self._why.items() if seen[0] > now_ms - FORGET_MS}
        counts: dict[str, int] = {}
        for _at_ms, why in self._why.values():
            counts[why] = counts.get(why, 0) + 1
        return [f"{count} conversations kept back: {why}" for why, count in counts.items()]
