"""Two stores that look like one: the first, and a second that holds what was put there while the first was away.

Owns the order in which the two are asked. What lies in the second is moved home: copied to the first under the same name, and only then
deleted. So whoever lists asks the second first and the first afterwards, and sees in one of them what is moved meanwhile; and where neither
has an object, the first is asked once more. Nothing is ever written to the second here. Which of two objects of one name is damaged only who
opens them can tell: a listing names both.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from audiostore import sealing
from audiostore.errors import AlreadyExistsError, NotFoundError, StoreError
from audiostore.names import CONTENT_TYPE, parse_name
from audiostore.store import (
    PAGE_OBJECTS,
    ObjectInfo,
    Store,
    check_name,
    check_prefix,
    lists_from_anywhere,
    with_metadata,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

_R = TypeVar("_R")


class PairedStore:
    """The objects of both, each name once; where both have a name, the first one's object counts, and the other lies `beside` it. Implements Store.

    Where either cannot be asked, a listing fails: it never leaves out what it could not see. An object that the second has can be read
    while the first is away.
    """

    def __init__(self, first: Store, second: Store) -> None:
        self.first = first
        self.second = second

    @property
    def lists_from_anywhere(self) -> bool:
        """Whether both do."""
        return lists_from_anywhere(self.first) and lists_from_anywhere(self.second)

    async def put(
        self, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        """See Store. Goes to the first."""
        await self._refuse_taken(name, "put")
        return await self.first.put(name, data, content_type=content_type, metadata=metadata)

    async def get(self, name: str) -> bytes:
        """See Store."""
        return await self._either(lambda store: store.get(name))

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        """See Store."""
        return await self._either(lambda store: store.get_range(name, start, end))

    async def head(self, name: str) -> ObjectInfo:
        """See Store."""
        return await self._either(lambda store: store.head(name))

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        """See Store. A page of the second is held in memory, and the first listed as far as that page goes."""
        check_prefix(prefix)
        while True:
            page = [info async for info in _some(self.second.list(prefix, after), PAGE_OBJECTS)]
            end = page[-1].name if len(page) == PAGE_OBJECTS else None
            waiting = page[::-1]
            async for info in self.first.list(prefix, after):
                if end is not None and info.name > end:
                    break
                while waiting and waiting[-1].name < info.name:
                    yield waiting.pop()
                if waiting and waiting[-1].name == info.name:
                    info = replace(info, beside=waiting.pop())  # noqa: PLW2901 — what is yielded is it, and more
                yield info
            while waiting:
                yield waiting.pop()
            if end is None:
                return
            after = end

    async def with_metadata(self, infos: Sequence[ObjectInfo]) -> Sequence[ObjectInfo]:
        """See `store.with_metadata`. What the first does not tell the second may: one of the two listed it."""
        found = list(await with_metadata(self.first, infos))
        untold = [at for at, info in enumerate(found) if info.metadata is None]
        told = await with_metadata(self.second, [found[at] for at in untold])
        for at, info in zip(untold, told, strict=True):
            found[at] = info
        return found

    async def list_folders(self, prefix: str) -> AsyncIterator[str]:
        """See Store. The second's are held in memory."""
        check_prefix(prefix)
        waiting = [folder async for folder in self.second.list_folders(prefix)][::-1]
        async for folder in self.first.list_folders(prefix):
            while waiting and waiting[-1] < folder:
                yield waiting.pop()
            if waiting and waiting[-1] == folder:
                waiting.pop()
            yield folder
        while waiting:
            yield waiting.pop()

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """See Store. The copy lies in the first, wherever its source is."""
        check_name(source)
        await self._refuse_taken(target, f"copy {source} to")
        with suppress(NotFoundError):
            return await self.first.copy(source, target)
        with suppress(NotFoundError):
            return await copy_over(self.second, self.first, source, target)
        return await self.first.copy(source, target)  # moved home in between, or nowhere

    async def delete(self, name: str) -> None:
        """See Store. The second goes first: what is deleted in the first alone would be moved home again."""
        check_name(name)
        await self.second.delete(name)
        await self.first.delete(name)

    async def close(self) -> None:
        """See Store."""
        await self.first.close()
        await self.second.close()

    async def _either(self, ask: Callable[[Store], Awaitable[_R]]) -> _R:
        """What the first says, else the second. Raises NotFoundError only where both could be asked."""
        away: StoreError | None = None
        try:
            return await ask(self.first)
        except NotFoundError:
            pass
        except StoreError as error:
            away = error
        try:
            return await ask(self.second)
        except NotFoundError:
            if away is not None:
                raise away from None
        # It may have been moved home between the two looks.
        return await ask(self.first)

    async def _refuse_taken(self, name: str, doing: str) -> None:
        with suppress(NotFoundError):
            await self.second.head(check_name(name))
            raise AlreadyExistsError(f"{doing} {name}: the name is taken, in the second store")


async def copy_over(source: Store, target: Store, name: str, as_name: str) -> ObjectInfo:
    """Copies an object from one store to another, create-only, with its metadata as far as it has any.

    Raises NotFoundError (source), AlreadyExistsError (target), TooLargeError.
    """
    info = await source.head(name)
    data = await source.get(name)
    return await target.put(as_name, data, content_type=content_type_of(name), metadata=info.metadata or {})


def content_type_of(name: str) -> str:
    """What an object of this name is: no store tells the content type of what it holds."""
    parsed = parse_name(name)
    if parsed is None:
        return "application/octet-stream"
    return sealing.CONTENT_TYPE if parsed.sealed else CONTENT_TYPE


async def _some(found: AsyncIterator[ObjectInfo], count: int) -> AsyncIterator[ObjectInfo]:
    """The first `count` of them."""
    if count <= 0:
        return
    left = count
    async for info in found:
        yield info
        left -= 1
        if not left:
            return
