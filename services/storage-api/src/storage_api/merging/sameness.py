"""Whether two objects of the bucket hold the same bytes: by size and checksum, and by the bytes where a store knows no checksum.

Two names of one file (`file://`) are not read: there is nothing to compare.
"""

from dataclasses import dataclass
from typing import Final

from audiostore.errors import ChecksumError, TooLargeError
from audiostore.store import ObjectInfo, Store
from storage_api.merging.room import Room

PIECE_BYTES: Final = 8 * 1024 * 1024
"""Of objects that are too large to be read in one piece."""


@dataclass(frozen=True, slots=True)
class Located:
    """An object, and the store to ask about it."""

    store: Store
    info: ObjectInfo


class Sameness:
    """Compares objects."""

    def __init__(self, room: Room) -> None:
        """`room`: for what is read whole."""
        self._room = room

    async def same(self, one: Located, other: Located) -> bool:
        """Whether they do. NotFoundError: one of them is gone; StoreError."""
        if one.info.size != other.info.size:
            return False
        if one.info.file is not None and one.info.file == other.info.file:
            return True
        first, second = await _told(one), await _told(other)
        if first.size != second.size:
            return False
        if first.crc32c is None or second.crc32c is None:
            return await self._same_bytes(one, other)
        if first.crc32c != second.crc32c:
            return False
        # A store that only repeats what a writer claimed compares when the bytes are read.
        return not second.claimed or await self._claims_hold(one, other)

    async def _same_bytes(self, one: Located, other: Located) -> bool:
        async with self._room.of(one.info.size):
            try:
                return await _read(one) == await _read(other)
            except ChecksumError:
                return False
            except TooLargeError:
                return await _same_pieces(one, other)

    async def _claims_hold(self, one: Located, other: Located) -> bool:
        """Whether `other` holds what both are said to hold; what damaged `one` is copied with it, and no copy of it will ever read."""
        async with self._room.of(one.info.size):
            try:
                if await _reads_well(other):
                    return True
                # Not by that alone: the one may have come wrong only now, and the other lie there damaged.
                return not await _reads_well(one) and await _same_pieces(one, other)
            except TooLargeError:
                return await _same_pieces(one, other)


async def _reads_well(one: Located) -> bool:
    try:
        await _read(one)
    except ChecksumError:
        return False
    return True


async def _read(one: Located) -> bytes:
    """All of it. A copy that comes wrong once is not copied again for that. ChecksumError; TooLargeError; NotFoundError; StoreError."""
    try:
        return await one.store.get(one.info.name)
    except ChecksumError:
        return await one.store.get(one.info.name)


async def _same_pieces(one: Located, other: Located) -> bool:
    for start in range(0, one.info.size, PIECE_BYTES):
        end = start + PIECE_BYTES
        first = await one.store.get_range(one.info.name, start, end)
        if first != await other.store.get_range(other.info.name, start, end):
            return False
    return True


async def _told(one: Located) -> ObjectInfo:
    if one.info.crc32c is not None:
        return one.info
    return await one.store.head(one.info.name)
