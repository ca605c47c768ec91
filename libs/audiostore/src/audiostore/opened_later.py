"""A store that is opened when it can be: one that is away at the start of a process must not keep it from all else.

Owns when opening is tried, and what is heard meanwhile. An address that can be none is refused at once: no waiting mends it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from audiostore.attempts import PATIENCE, Patience
from audiostore.errors import AudiostoreError, StoreConfigurationError, TransientStoreError
from audiostore.opening import check_address, open_store
from audiostore.store import lists_from_anywhere, with_metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from audiostore.store import ObjectInfo, Store

AGAIN_S: Final = 5.0
"""Between two tries, whoever asks: each may look for credentials over the network."""


class OpenedLater:
    """The store at `url`. Implements Store: until it is open, each operation raises StoreConfigurationError with what is wrong.

    Raises StoreConfigurationError for an address that can be none.
    """

    def __init__(self, url: str, patience: Patience = PATIENCE) -> None:
        check_address(url)
        self.complaint = "not opened yet"
        """Why it is not open; empty once it is."""
        self._url = url
        self._patience = patience
        self._store: Store | None = None
        self._opening: asyncio.Task[None] | None = None
        self._again_at = 0.0

    async def open(self) -> Store:
        """The store itself. Whoever asks tries to open it, all of them together, and not more often than every five seconds.

        Raises:
            StoreConfigurationError: it cannot be opened now; the text is the last try's.
            TransientStoreError: opening it takes longer than an operation may.
        """
        if self._store is not None:
            return self._store
        if self._opening is None:
            if asyncio.get_running_loop().time() < self._again_at:
                raise StoreConfigurationError(self.complaint)
            self._opening = asyncio.create_task(self._open(), name="opening a store")
        opening = self._opening
        # Not cancelled with whoever waits for it: others may, and a thread cannot be stopped.
        done, _ = await asyncio.wait([opening], timeout=self._patience.deadline_s)
        if not done:
            raise TransientStoreError(
                f"open the store: not done after {self._patience.deadline_s:g} s; it is slow or away"
            )
        return self._opened()

    def _opened(self) -> Store:
        if self._store is None:
            raise StoreConfigurationError(self.complaint)
        return self._store

    async def _open(self) -> None:
        try:
            # Credentials and imports of a backend may block for seconds.
            self._store = await asyncio.to_thread(open_store, self._url, self._patience)
            self.complaint = ""
        except AudiostoreError as error:
            self.complaint = str(error)
        except Exception as error:  # noqa: BLE001 - the top of this task: a backend's library may break in any way, that is its answer
            self.complaint = f"open the store: {type(error).__name__}: {error}"
        finally:
            self._again_at = asyncio.get_running_loop().time() + AGAIN_S
            self._opening = None

    @property
    def lists_from_anywhere(self) -> bool:
        """What the store says, once it is open."""
        return self._store is not None and lists_from_anywhere(self._store)

    async def put(
        self, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        """See Store."""
        return await (await self.open()).put(name, data, content_type=content_type, metadata=metadata)

    async def get(self, name: str) -> bytes:
        """See Store."""
        return await (await self.open()).get(name)

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        """See Store."""
        return await (await self.open()).get_range(name, start, end)

    async def head(self, name: str) -> ObjectInfo:
        """See Store."""
        return await (await self.open()).head(name)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        """See Store."""
        async for info in (await self.open()).list(prefix, after):
            yield info

    async def with_metadata(self, infos: Sequence[ObjectInfo]) -> Sequence[ObjectInfo]:
        """See `store.with_metadata`."""
        return await with_metadata(await self.open(), infos)

    async def list_folders(self, prefix: str) -> AsyncIterator[str]:
        """See Store."""
        async for folder in (await self.open()).list_folders(prefix):
            yield folder

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """See Store."""
        return await (await self.open()).copy(source, target)

    async def delete(self, name: str) -> None:
        """See Store."""
        await (await self.open()).delete(name)

    async def close(self) -> None:
        """See Store. Waits for a try that is under way, as its thread cannot be stopped."""
        if self._opening is not None:
            await self._opening
        if self._store is not None:
            await self._store.close()


def open_stores(url: str, fallback_url: str | None, patience: Patience = PATIENCE) -> Store:
    """The store at `url`; with `fallback_url` (TAPEDECK_FALLBACK_STORE_URL) both look like one to readers. Each is opened when it can be.

    Raises StoreConfigurationError for an address that can be none.
    """
    first = OpenedLater(url, patience)
    if fallback_url is None:
        return first
    from audiostore.paired_store import PairedStore  # noqa: PLC0415 — few need it

    return PairedStore(first, OpenedLater(fallback_url, patience))
