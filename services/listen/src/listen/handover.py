"""Who of this process records into which conversation, and what becomes of a socket when a newer one has come for its own.

What Redis says is the truth: it takes nothing more of the older one, once the newer one is open. An older socket that has nothing to
append would never hear so, and might be half-open for long: it is told, and closed, as soon as the newer one is open. A newer one that
is not let in harms nobody. Plain sockets wait for one another before they open it (`takers`). Sockets of other processes are not known here.
"""

from typing import Protocol

from audiobus import Conversation
from listen.takers import WAIT_S, Takers


class Holder(Protocol):
    """A socket that records into a conversation."""

    @property
    def over(self) -> bool:
        """Whether its session is over."""

    def supersede(self) -> None:
        """A newer one has come: what came here is made safe, and the socket is closed with 4409."""

    def replaced(self) -> None:
        """A newer one has opened the conversation: nothing more is taken here. The socket is closed with 4409."""


class Handover:
    """Which sockets of this process record into which conversation."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._takers = Takers(wait_s)
        """The plain sockets, from before they open it."""
        self._holders: dict[Conversation, dict[Holder, int]] = {}
        """Those for which Redis has opened it, and when they arrived, unix ms."""
        self._held: dict[Holder, Conversation] = {}

    def holds(self, conversation: Conversation) -> bool:
        """Whether it is open for a socket of this process."""
        return conversation in self._holders

    async def take(self, conversation: Conversation, holder: Holder, arrived_ms: int) -> None:
        """A plain socket is about to open it (`Takers.take`)."""
        if self._held.get(holder) != conversation:
            self._let_go(holder)
        await self._takers.take(conversation, holder, arrived_ms)

    def opened(self, conversation: Conversation, holder: Holder, arrived_ms: int) -> None:
        """Redis has opened it for `holder`, which arrived at `arrived_ms`: those that arrived earlier are told.

        Answers of Redis may come in another order than it gave them. It lets nobody open who arrived earlier than the one that
        has it, so the last to arrive is the one. Of two that arrived in the same millisecond nothing is known: Redis tells.
        """
        if self._held.get(holder) != conversation:
            self._let_go(holder)
        holders = self._holders.setdefault(conversation, {})
        holders[holder] = arrived_ms
        self._held[holder] = conversation
        newest_ms = max(holders.values())
        for older in [one for one, came_ms in holders.items() if came_ms < newest_ms]:
            self._let_go(older)
            older.replaced()
        if holder.over:
            self._let_go(holder)  # its client has left meanwhile: the older ones have lost it all the same

    def leave(self, holder: Holder) -> None:
        """Everything that came to `holder` for its conversation is safe, or never will be."""
        self._let_go(holder)
        self._takers.leave(holder)

    def _let_go(self, holder: Holder) -> None:
        conversation = self._held.pop(holder, None)
        if conversation is not None:
            holders = self._holders[conversation]
            del holders[holder]
            if not holders:
                del self._holders[conversation]
