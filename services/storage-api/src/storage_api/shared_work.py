"""Work that several ask for at the same time, done once for all of them.

Owns what is under way, and for how many. Remembers nothing that is done. Nobody's leaving ends it for the others; with the last one it ends,
and that one waits for its end: what must not be torn is done by then.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from servicekit.ending import end, see_out

T = TypeVar("T")


@dataclass(slots=True)
class _UnderWay(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class SharedWork(Generic[T]):
    """That of one process."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _UnderWay[T]] = {}

    async def of(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` answers or raises, or the same of whoever began with this key before."""
        shared = self._under_way.get(key)
        if shared is None or shared.task.done():
            shared = self._under_way[key] = _UnderWay(asyncio.create_task(work(), name="shared work"))
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            if not shared.waiting:
                if self._under_way.get(key) is shared:
                    del self._under_way[key]
                await see_out(asyncio.create_task(end([shared.task]), name="end of shared work"))
                if not shared.task.cancelled():
                    shared.task.exception()  # of one that was broken off nobody asks what it ended with
