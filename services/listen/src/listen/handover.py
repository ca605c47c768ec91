"""A plain device that comes back at once: what it sent to its old socket is made safe before the new one takes over.

A plain device cannot send anything again. Were the new socket to open its conversation first, the old one could append nothing
more, and up to a second of audio that lies here would be lost. Sockets of other processes are not known here.
"""

import asyncio
from contextlib import suppress
from typing import Final, Protocol

from audiobus import Conversation

WAIT_S: Final = 2.0
"""How long a newer socket waits. What is not safe by then hangs on a Redis that is slow for both."""


class Holder(Protocol):
    """A socket that records into a conversation."""

    def supersede(self) -> None:
        """A newer one has come: what came here is made safe, and the socket is closed with 4409."""


class Handover:
    """Which plain socket of this process records into which conversation."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._holders: dict[Conversation, Holder] = {}
        self._conversations: dict[Holder, Conversation] = {}
        self._over: dict[Holder, asyncio.Event] = {}
        """Of those that somebody waits for."""

    async def take(self, conversation: Conversation, holder: Holder) -> None:
        """The conversation is `holder`'s from now on; returns when what came to the one before is safe, or time is up."""
        older = self._holders.get(conversation)
        if older is holder:
            return
        self.leave(holder)
        self._holders[conversation] = holder
        self._conversations[holder] = conversation
        if older is None:
            return
        over = self._over[older] = asyncio.Event()
        older.supersede()
        with suppress(TimeoutError):  # whoever comes last records
            await asyncio.wait_for(over.wait(), self._wait_s)

    def leave(self, holder: Holder) -> None:
        """Everything that came to `holder` for its conversation is safe, or never will be."""
        conversation = self._conversations.pop(holder, None)
        if conversation is not None and self._holders.get(conversation) is holder:
            del self._holders[conversation]
        over = self._over.pop(holder, None)
        if over is not None:
            over.set()
