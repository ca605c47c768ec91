"""The counting of a world's audio: what its pushers' census shows, held against what really is there.

A pusher shows it as gauges; here it is kept, and any conversation that is said not to add up is a problem, whatever breaks meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiobus.census import Balance, exact_totals, totals

if TYPE_CHECKING:
    from audiobus import Bus


class Counting:
    """In the place of `pusher.books.Books`, one for all pushers of a world."""

    def __init__(self) -> None:
        self.counts = 0
        """How often the books were counted."""
        self.problems: list[str] = []

    def waiting(self, samples: int, _failing: int) -> None:
        """What waits in all buffers."""
        if samples < 0:
            self.problems.append(f"{samples} samples wait by the census")

    def total(self, total: Balance, unbalanced: int) -> None:
        """The sum over all conversations, and how many of them do not add up."""
        self.counts += 1
        if unbalanced or total.difference:
            self.problems.append(
                f"by the census {unbalanced} conversations are out of balance, all by {total.difference}"
            )

    def unknown(self) -> None:
        """Nobody can tell where any audio is."""

    def silent(self) -> None:
        """Another pusher shows them."""

    def deleted(self, samples: int) -> None:
        """So much was deleted by a pusher."""


async def at_the_end(bus: Bus) -> list[str]:
    """Whether the sums over everything that Redis knows are those of what lies there, with nothing that waits or is dead."""
    exactly, unbalanced = await exact_totals(bus)
    by_numbers = await totals(bus)
    found = [f"{one.tag} is out of balance at the end: {balance}" for one, balance in unbalanced.items()]
    if by_numbers != exactly:
        found.append(f"the numbers say {by_numbers}, and there is {exactly}")
    if exactly != Balance(exactly.received, exactly.stored, 0, 0, exactly.deleted) or exactly.difference:
        found.append(f"not all is stored or deleted: {exactly}")
    return found
