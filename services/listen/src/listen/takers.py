"""The plain sockets of this process that come for a conversation, in the order of their arrival: each waits for those before it.

A plain device cannot send anything again. Were its new socket to open the conversation first, up to a second of audio that lies here
would be lost: so what its older ones were sent is made safe before. Whoever is not the last to have arrived is told so, once; nobody is
ever told by one that arrived earlier. Must not know what Redis says.
"""

import asyncio
from bisect import insort
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, Protocol

from audiobus import Conversation

WAIT_S: Final = 2.0
"""How long a newer plain socket waits. What is not safe by then hangs on a Redis that is slow for both."""


class Taker(Protocol):
    """A plain socket that comes for a conversation."""

    def supersede(self) -> None:
        """A newer one has come: what came here is made safe, and the socket is closed with 4409."""


@dataclass(slots=True, eq=False)
class _Place:
    """One socket's place in the line for a conversation. It keeps it, however often it asks."""

    taker: Taker
    conversation: Conversation
    arrived_ms: int
    until_s: float
    """Until then it waits, in the loop's time."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    told: bool = False
    """It has heard that a newer one has come."""


class Takers:
    """The lines of this process."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._lines: dict[Conversation, list[_Place]] = {}
        """Each by arrival; of the same millisecond, by who came here first."""
        self._places: dict[Taker, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    async def take(self, conversation: Conversation, taker: Taker, arrived_ms: int) -> None:
        """A socket that arrived at `arrived_ms` is about to open it; returns when those before it are safe, or its time is up."""
        place = self._places.get(taker)
        if place is None or place.conversation != conversation:
            self.leave(taker)
            place = self._enter(conversation, taker, arrived_ms)
        with suppress(TimeoutError):  # whoever comes last records
            async with asyncio.timeout_at(place.until_s):
                while before := self._before(place):
                    await before[-1].left.wait()

    def leave(self, taker: Taker) -> None:
        """Everything that came to it for its conversation is safe, or never will be."""
        place = self._places.pop(taker, None)
        if place is None:
            return
        line = self._lines[place.conversation]
        line.remove(place)
        if not line:
            del self._lines[place.conversation]
        place.left.set()

    def _enter(self, conversation: Conversation, taker: Taker, arrived_ms: int) -> _Place:
        until_s = asyncio.get_running_loop().time() + self._wait_s
        place = self._places[taker] = _Place(taker, conversation, arrived_ms, until_s)
        line = self._lines.setdefault(conversation, [])
        insort(line, place, key=lambda one: one.arrived_ms)
        for earlier in line[:-1]:
            if not earlier.told:
                earlier.told = True
                earlier.taker.supersede()
        return place

    def _before(self, place: _Place) -> list[_Place]:
        """Those that stand before it; none where it has left."""
        if self._places.get(place.taker) is not place:
            return []
        return list(takewhile(lambda one: one is not place, self._lines[place.conversation]))
