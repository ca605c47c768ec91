"""Whether two objects of the bucket hold the same bytes: by size and checksum, and by the bytes where a store knows no checksum."""

import asyncio
from dataclasses import dataclass

from audiostore.errors import ChecksumError, TooLargeError
from audiostore.store import ObjectInfo, Store


@dataclass(frozen=True, slots=True)
class Located:
    """An object, and the store to ask about it."""

    store: Store
    info: ObjectInfo


class Sameness:
    """Compares objects; whole ones are read one pair at a time, for each may have 64 MiB."""

    def __init__(self) -> None:
        self._reading = asyncio.Semaphore(1)

    async def same(self, one: Located, other: Located) -> bool:
        """Whether they do. NotFoundError: one of them is gone; StoreError."""
        if one.info.size != other.info.size:
            return False
        first, second = await _told(one), await _told(other)
        if first.size != second.size:
            return False
        if first.crc32c is None or second.crc32c is None:
            return await self._same_bytes(one, other)
        if first.crc32c != second.crc32c:
            return False
        # A store that only repeats what a writer claimed compares when the bytes are read.
        return not second.claimed or await self._reads_well(other)

    async def _same_bytes(self, one: Located, other: Located) -> bool:
        async with self._reading:
            try:
                return await one.store.get(one.info.name) == await other.store.get(other.info.name)
            except (ChecksumError, TooLargeError):
                return False

    async def _reads_well(self, one: Located) -> bool:
        async with self._reading:
            try:
                await one.store.get(one.info.name)
            except (ChecksumError, TooLargeError):
                return False
            return True


async def _told(one: Located) -> ObjectInfo:
    if one.info.crc32c is not None:
        return one.info
    return await one.store.head(one.info.name)
