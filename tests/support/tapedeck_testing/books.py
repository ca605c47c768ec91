"""The books at the end of a test in which something broke: whatever it was, what is there adds up."""

import asyncio
import contextlib

from audiobus import Bus, Conversation, census
from audiobus.census import Balance
from audiobus.errors import BusError

WITHIN_S = 60.0
"""For a Redis that is not back yet, and conversations that are still drained."""
AGAIN_S = 0.2


async def books_close(bus: Bus, *, stored: bool = False) -> Balance:
    """Asserts that every conversation's books close to the sample, and that nothing is dead; their sum.

    `stored`: nothing waits any more, and something was stored.
    """
    async with asyncio.timeout(WITHIN_S):
        while (counted := await _counted(bus)) is None:
            await asyncio.sleep(AGAIN_S)
    total, off = counted
    assert off == {}, {conversation.tag: balance for conversation, balance in off.items()}
    assert total.received, "nothing was received, or the books are those of another Redis"
    assert not total.dead, total
    if stored:
        assert total.stored, total
        assert not total.waiting, total
    return total


async def _counted(bus: Bus) -> tuple[Balance, dict[Conversation, Balance]] | None:
    with contextlib.suppress(BusError):
        return await census.exact_totals(bus)
    return None
