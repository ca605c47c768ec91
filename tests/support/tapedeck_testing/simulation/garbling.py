"""What a bucket does to bytes: it stores others than it was sent, or hands out others than it has.

Owns which reads come wrong, and what is stored in place of what was sent. A read that came wrong comes right the next time for whoever asked: bytes that
change on their way do not do so again and again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from audiostore.names import ROOT

if TYPE_CHECKING:
    from tapedeck_testing.simulation.chance import Chance

LEFT: Final = 3
"""So many of each may still come when all other faults have ended: most objects are put then, and most are read."""
MISREAD: Final = "bucket: wrong checksum"
GARBLED: Final = "bucket: stored damaged"
CLAIMS: Final = 0.5
"""Of the worlds with such faults, in so many a bucket keeps what its writer claims, and whoever wants to know must read the object."""


class Garbling:
    """Of one bucket."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._misread: set[tuple[str, asyncio.Task[Any] | None]] = set()
        self.claims = (chance.has(MISREAD) or chance.has(GARBLED)) and chance.dice.random() < CLAIMS
        """Whether the bucket tells the checksum that its writer claimed, and tells it and all metadata only of an object that is asked for (as az://)."""

    def misreads(self, name: str) -> bool:
        """Whether what is read now has a wrong checksum."""
        reader = (name, asyncio.current_task())
        if reader in self._misread:
            self._misread.discard(reader)
            return False
        if not self._chance.strikes(MISREAD, calm_too=LEFT):
            return False
        self._misread.add(reader)
        return True

    def stored(self, name: str, data: bytes) -> bytes:
        """What comes to lie there in place of the data, mostly the data."""
        if not name.startswith(ROOT) or not self._chance.strikes(GARBLED, calm_too=LEFT):
            return data
        at = self._chance.dice.randrange(len(data))
        return self._chance.dice.choice(
            (data[:at], data[:at] + bytes(len(data) - at), data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        )
