"""How many objects a merge holds in memory at once: they may have 64 MiB, and most have a quarter of one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

SMALL_BYTES: Final = 1024 * 1024
SMALL_AT_ONCE: Final = 16
"""Of those up to `SMALL_BYTES`; larger ones pass one after another."""


class Room:
    """Shared by all that is done in one pass."""

    def __init__(self) -> None:
        self._small = asyncio.Semaphore(SMALL_AT_ONCE)
        self._large = asyncio.Semaphore(1)

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        """While inside, objects of so many bytes may be held."""
        async with self._small if size <= SMALL_BYTES else self._large:
            yield
