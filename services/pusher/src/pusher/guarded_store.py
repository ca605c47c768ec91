"""A store whose every operation tells a circuit what came of it. Implements audiostore's Store.

Owns what counts as the store's trouble. It refuses nothing itself: whether a conversation may ask at all is decided once, before it is
drained (`buckets`), so an operation under way is never broken off by another's failure.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from audiostore.errors import (
    AlreadyExistsError,
    BadNameError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    StoreError,
    TooLargeError,
)
from audiostore.names import ROOT
from audiostore.store import ObjectInfo, Store
from pusher.circuit import Circuit, Phase

_ANSWERS: Final = (AlreadyExistsError, NotFoundError, BadNameError, TooLargeError)
"""What a store that works says of one object."""
MOST_PROOF_BYTES: Final = 8 * 1024 * 1024
"""No more is asked of an object that only shows that a store works."""
_OBJECT: Final = re.compile(r"chunks(?:/|%2F)\S*", re.IGNORECASE)
"""Google's texts quote addresses, with the name encoded."""


class GuardedStore:
    """`store`, called `name` in metrics and logs ("first", "second")."""

    def __init__(
        self, name: str, store: Store, now_ms: Callable[[], int], circuit: Circuit | None = None
    ) -> None:
        self.name = name
        self.circuit = circuit or Circuit()
        self.on_change: Callable[[GuardedStore, Phase], None] | None = None
        """Called with the phase before, after each change of it."""
        self.proof_bytes = 0
        """So large must an object that is no conversation's be to show that it works: as the largest that it did not take, and none as large since."""
        self._store = store
        self.now_ms = now_ms

    @property
    def untold(self) -> Store:
        """The store itself: what comes of its operations is told to nobody."""
        return self._store

    async def put(
        self, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        """See Store. The one operation that can close the circuit: a full disk still lists, a right to read is none to write.

        What is no conversation's closes it only where it is as large as what failed: a disk that is nearly full takes small objects.
        """
        with self._told(name):
            try:
                info = await self._store.put(name, data, content_type=content_type, metadata=metadata)
            except AlreadyExistsError:
                self._worked(name, len(data))
                raise
            except StoreError as error:
                if is_the_stores(error):
                    self.proof_bytes = max(self.proof_bytes, min(len(data), MOST_PROOF_BYTES))
                raise
            self._worked(name, len(data))
            if len(data) >= self.proof_bytes:
                self.proof_bytes = 0
            return info

    async def get(self, name: str) -> bytes:
        """See Store. Bytes with another checksum are told to nobody: that one object is damaged, and the store answers."""
        with self._told(name, ChecksumError):
            return await self._store.get(name)

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        """See Store."""
        with self._told(name):
            return await self._store.get_range(name, start, end)

    async def head(self, name: str) -> ObjectInfo:
        """See Store."""
        with self._told(name):
            return await self._store.head(name)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        """See Store."""
        with self._told():
            async for info in self._store.list(prefix, after):
                yield info

    async def list_folders(self, prefix: str) -> AsyncIterator[str]:
        """See Store."""
        with self._told():
            async for folder in self._store.list_folders(prefix):
                yield folder

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """See Store."""
        with self._told(source):
            return await self._store.copy(source, target)

    async def delete(self, name: str) -> None:
        """See Store."""
        with self._told(name):
            await self._store.delete(name)

    async def close(self) -> None:
        """See Store."""
        await self._store.close()

    @contextmanager
    def _told(self, name: str = "", *answers: type[StoreError]) -> Iterator[None]:
        """`name`: of the object that it is about, if of one; `answers`: what says nothing of the store here, besides what never does."""
        began_ms = self.now_ms()
        passed: tuple[type[StoreError], ...] = (*_ANSWERS, *answers)
        try:
            yield
        except passed:
            raise
        except StoreError as error:
            before = self.circuit.phase
            self.circuit.failed(
                began_ms,
                self.now_ms(),
                without_names(error),
                operators=isinstance(error, StoreConfigurationError),
                whose=_whose(name),
            )
            self._changed(before)
            raise

    def _worked(self, name: str, size_bytes: int) -> None:
        whose, before = _whose(name), self.circuit.phase
        if whose is None and size_bytes < self.proof_bytes:
            return
        self.circuit.worked(self.now_ms(), whose)
        self._changed(before)

    def _changed(self, before: Phase) -> None:
        if self.on_change is not None and self.circuit.phase is not before:
            self.on_change(self, before)


def is_away(store: Store) -> bool:
    """Whether a store is known not to work at the moment: what need not be done there now is left for later."""
    return isinstance(store, GuardedStore) and not store.circuit.closed


def is_the_stores(error: Exception) -> bool:
    """Whether a failed try is the store's trouble, not the conversation's own."""
    return isinstance(error, StoreError) and not isinstance(error, _ANSWERS)


def _whose(name: str) -> str | None:
    """The conversation that an object belongs to, as the beginning of its name; None for what is no conversation's."""
    root, _, rest = name.partition("/")
    of, slash, _ = rest.rpartition("/")
    return of if f"{root}/" == ROOT and slash else None


def without_names(error: Exception) -> str:
    """The error's text without the object's name: the same for all conversations, and no user in it."""
    return _OBJECT.sub("chunks/…", str(error))
