"""What a worker does about deletions: first of all, for each conversation that it looks at.

Owns the order: what is deleted leaves Redis first, which needs no bucket; then the buckets, again and again until no put can be under way
(`sweeper`). Which entries are the deleted ones is `clearing`'s.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from audiobus.answers import Marks
from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.errors import BadEntryError, BusContractError
from audiobus.hints import Hints
from audiobus.state import ConversationState
from pusher.buckets import Buckets
from pusher.clearing import Cleared, Clearing
from pusher.sweeper import Sweeper

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Deleting:
    """Sees to what was deleted of any conversation."""

    bus: Bus
    hints: Hints
    buckets: Buckets
    clearing: Clearing
    sweeper: Sweeper
    now_ms: Callable[[], int]

    async def look(
        self, conversation: Conversation, state: ConversationState, marks: Marks | None = None
    ) -> Cleared:
        """Drops what was deleted since it was looked at last, from Redis, and objects that must not stay, from the buckets.

        `marks`: what is deleted, where that was read with the state.

        Raises:
            BadEntryError: a cut, or a tombstone, that is none.
            BusUnavailableError: Redis does not answer.
        """
        cleared = await self.clearing.clear(conversation, state, self.now_ms(), marks)
        if cleared is Cleared.NOTHING and state.gone:
            await self.sweeper.sweep_names(self.buckets.all, conversation, self.now_ms())
        return cleared

    def is_deleted(self, conversation: Conversation, made_ms: int | None) -> bool:
        """Whether a chunk made then came after its buffer was cleared of what was: it must be cleared again."""
        deleted = made_ms is not None and made_ms < self.clearing.before_ms(conversation)
        if deleted:
            self.clearing.forget(conversation)
        return deleted

    async def clear(self, conversation: Conversation) -> None:
        """Drops what was deleted from Redis alone: no bucket may be asked at the moment.

        Raises:
            BusUnavailableError: Redis does not answer.
        """
        try:
            state = await self.bus.state(conversation)
            if await self.clearing.clear(conversation, state, self.now_ms()) is Cleared.ALL:
                await self.clearing.sweep(conversation, self.now_ms())
        except (BadEntryError, BusContractError):
            # Told when it is drained: it is tried again with the bucket.
            log.debug("what was deleted cannot be cleared", exc_info=True)

    async def sweep(self, conversation: Conversation) -> None:
        """Deletes everything of a conversation under a tombstone, from every bucket that it may ask now, and sees to `due`.

        Raises:
            StoreError: a bucket could not be swept.
            BusUnavailableError: Redis does not answer.
        """
        swept = await self.clearing.sweep(conversation, self.now_ms())
        if swept is None:
            # The tombstone is over: it is a conversation like any other.
            await self.hints.due(conversation, self.now_ms())
            return
        # Many may be deleted while a bucket is away, and each would wait for it.
        with self.buckets.to_sweep(conversation) as asked:
            left_out = [one for one in self.buckets.all if one not in asked]
            again_ms = await self.sweeper.sweep(
                asked, conversation, swept.since_ms, self.now_ms(), left_out=left_out
            )
        if again_ms is not None:
            await self.hints.push_due(conversation, again_ms)
        elif await self.hints.leave(conversation, self.now_ms()):
            await self.bus.note_not_live(conversation)
