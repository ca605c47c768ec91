"""Fetches bytes of objects, again where that may help.

Owns the tries, and that none of them waits for the next one in a place that others want. Each try is counted.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from itertools import count
from typing import Final

from audiostore.errors import ChecksumError, NotFoundError, StoreError, TooLargeError
from audiostore.store import ObjectInfo, Store
from storage_api import patience
from storage_api.errors import SourceGoneError, UnreadableError
from storage_api.places import Places

LOOKS_AT_ONCE: Final = 16
"""Objects that are looked at, or older ones that are read, at the same time, over all requests."""
LARGE_BYTES: Final = 4 * 1024 * 1024
"""Larger ones are read one after another, so that what is in memory at once stays small: they may have 64 MiB."""


class Fetching:
    """That of one bucket, or of two that look like one."""

    def __init__(
        self, counted: Callable[[str], AbstractContextManager[None]], clock: Callable[[], float]
    ) -> None:
        """`counted`: around each try of an operation."""
        self._counted = counted
        self._clock = clock
        self._small = Places(LOOKS_AT_ONCE, clock)
        self._large = Places(1, clock)

    @asynccontextmanager
    async def whole(self, store: Store, info: ObjectInfo, *, placed: bool = True) -> AsyncIterator[bytes]:
        """All bytes of the object; what is made of them inside is made in the place that they were read in, where it is `placed`.

        SourceGoneError; UnreadableError, also where no try gave what was stored: the rest can be heard; StoreError.
        """
        places = (self._large if info.size > LARGE_BYTES else self._small) if placed else None
        try:
            async with self._read("get", lambda: store.get(info.name), info.name, places) as data:
                yield data
        except TooLargeError as error:
            raise UnreadableError(info.name, "too_large", str(error)) from error
        except ChecksumError as error:
            raise UnreadableError(info.name, "damaged", str(error), passing=True) from error

    async def beginning(self, store: Store, name: str, size: int) -> bytes:
        """The first bytes of an object. SourceGoneError; StoreError."""
        async with self._read("get_range", lambda: store.get_range(name, 0, size), name, self._small) as data:
            return data

    @asynccontextmanager
    async def _read(
        self, operation: str, read: Callable[[], Awaitable[bytes]], name: str, places: Places | None
    ) -> AsyncIterator[bytes]:
        began_at: float | None = None
        for attempt in count(1):
            async with places.place(name) if places else nullcontext():
                # To wait for a place is no trouble of the bucket's.
                began_at = self._clock() if began_at is None else began_at
                try:
                    with self._counted(operation):
                        data = await read()
                except NotFoundError as error:
                    raise SourceGoneError(f"{name} is gone") from error
                except StoreError as error:
                    pause_s = patience.pause_s(error, attempt, self._clock() - began_at)
                    spoilt = isinstance(error, ChecksumError)
                    if places and not spoilt and (pause_s is None or patience.has_begun()):
                        places.refused(error)
                    if pause_s is None:
                        raise
                else:
                    yield data
                    return
            await asyncio.sleep(pause_s)
