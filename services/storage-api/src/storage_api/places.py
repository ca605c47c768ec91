"""Places for reads of a bucket: so many run at a time.

Owns who waits for one, and what those hear while the bucket refuses: whoever waits stands behind others who find that out one after another,
each for seconds, and must not hear of it only then. An answer that has begun waits on.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from audiostore.errors import StoreError, TransientStoreError
from storage_api import patience

WAITED_S: Final = 2.0
"""Whoever has waited so long for a place when the bucket refuses another hears of it too: who came later may find it back."""


class Places:
    """`count` of them."""

    def __init__(self, count: int, clock: Callable[[], float]) -> None:
        self._free = asyncio.Semaphore(count)
        self._clock = clock
        self._waiting: dict[asyncio.Timeout, float] = {}
        """Those whose answers have not begun, and since when."""

    @asynccontextmanager
    async def place(self, name: str) -> AsyncIterator[None]:
        """One of them, while inside, to read the object of this name. TransientStoreError: the bucket refuses others meanwhile."""
        limit = asyncio.timeout(None)
        try:
            async with limit:
                if not patience.has_begun():
                    self._waiting[limit] = self._clock()
                await self._free.acquire()
        except TimeoutError as error:
            raise TransientStoreError(f"get {name}: not tried, for the store refuses others") from error
        finally:
            self._waiting.pop(limit, None)
        try:
            yield
        finally:
            self._free.release()

    def refused(self, error: StoreError) -> None:
        """Whoever reads in a place of these was told this, and will not be told better soon."""
        if not error.retryable or getattr(error, "slow", False):
            return  # it is this object's trouble, or the bucket is slow and not away
        latest = self._clock() - WAITED_S
        for limit in [limit for limit, since in self._waiting.items() if since <= latest]:
            del self._waiting[limit]
            limit.reschedule(asyncio.get_running_loop().time())
