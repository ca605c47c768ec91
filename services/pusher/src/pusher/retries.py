"""When a conversation that could not be stored is tried again: exponential, jittered, without end. Pure but for its table.

Owns the number of failures in a row of each conversation, in memory: after a restart the first try comes at once, which is right.
"""

import random
from dataclasses import dataclass, field

from audiobus.conversation import Conversation

FIRST_MS = 1_000
MOST_MS = 300_000
HURRIED_MS = 2_000
"""After a failure, where somebody wishes it to be stored."""
MOST_TROUBLES = 10_000
"""Above this, those are forgotten whose turn came long ago: other pushers took care of them."""
_DOUBLINGS = 10
"""Beyond this the delay is `MOST_MS` anyway, and a count without bound would overflow it."""


@dataclass(slots=True)
class _Trouble:
    failures: int
    not_before_ms: int
    of_store: bool = False
    failed_ms: int = 0


@dataclass(slots=True)
class Retries:
    """The conversations in trouble."""

    rng: random.Random = field(default_factory=random.Random)
    _troubles: dict[Conversation, _Trouble] = field(default_factory=dict)
    _look_at: int = MOST_TROUBLES
    """So many of them: then it is looked who is to be forgotten."""

    def not_before_ms(self, conversation: Conversation, now_ms: int) -> int:
        """Not to be tried before this, unix ms; 0 where nothing is wrong."""
        trouble = self._troubles.get(conversation)
        if trouble is None:
            return 0
        # Farther ahead than it can be: the clock was put back.
        trouble.not_before_ms = min(trouble.not_before_ms, now_ms + MOST_MS)
        return trouble.not_before_ms

    def __contains__(self, conversation: object) -> bool:
        """Whether its last try failed."""
        return conversation in self._troubles

    def waits_for_store(self, conversation: Conversation) -> bool:
        """Whether its last failure was the store's, not its own."""
        trouble = self._troubles.get(conversation)
        return trouble is not None and trouble.of_store

    def store_is_back(self) -> list[Conversation]:
        """Those whose last failure was the store's: each may be tried at once. How often it failed stays known."""
        waiting = [
            one for one, trouble in self._troubles.items() if trouble.of_store and trouble.not_before_ms
        ]
        for one in waiting:
            self._troubles[one].not_before_ms = 0
        return waiting

    def hurry(self, conversation: Conversation) -> None:
        """Somebody wishes it to be stored, having mended something, perhaps: the next try comes soon. How often it failed stays known."""
        trouble = self._troubles.get(conversation)
        if trouble is not None:
            # However often it is wished for: a try costs something.
            trouble.not_before_ms = min(trouble.not_before_ms, trouble.failed_ms + HURRIED_MS)

    def failed(self, conversation: Conversation, now_ms: int, *, of_store: bool = False) -> int:
        """Notes a failure; when the next try is due, unix ms. `of_store`: not the conversation's own trouble.

        The delay doubles from one second to five minutes, and half of it is left to chance: a thousand conversations that fail together
        shall not come back together.
        """
        if len(self._troubles) >= self._look_at:
            long_ago_ms = now_ms - 2 * MOST_MS
            kept = {one: old for one, old in self._troubles.items() if old.not_before_ms > long_ago_ms}
            self._troubles = kept
            # Where all of them are fresh it is not looked again at each call: each costs a walk over the whole table.
            self._look_at = max(MOST_TROUBLES, 2 * len(kept))
        trouble = self._troubles.setdefault(conversation, _Trouble(0, 0))
        longest = min(MOST_MS, FIRST_MS << min(trouble.failures, _DOUBLINGS))
        trouble.failures += 1
        trouble.of_store = of_store
        trouble.failed_ms = now_ms
        trouble.not_before_ms = now_ms + int(longest * self.rng.uniform(0.5, 1.0))
        return trouble.not_before_ms

    def worked(self, conversation: Conversation) -> None:
        """Nothing is wrong (any more)."""
        self._troubles.pop(conversation, None)

    def __len__(self) -> int:
        return len(self._troubles)
