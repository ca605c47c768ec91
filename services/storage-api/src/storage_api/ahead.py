"""What is fetched before anybody asks for it: in order, so many at once, and so much in memory.

Owns the tasks that nobody has taken yet. A bucket takes its time for each call, however small: what is sent at the speed of a line must have asked
for the next ones long before. Closing it cancels them, and waits for them.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetch(Generic[T]):
    """Something to fetch."""

    run: Callable[[], Awaitable[T]]
    bytes: int
    """What it will take in memory, about."""


class Ahead(Generic[T]):
    """Fetches, each begun before it is taken. To be left as a context."""

    def __init__(self, fetches: Iterable[Fetch[T]], most: int, most_bytes: int) -> None:
        """`most` of them are under way or wait to be taken, and no more than bring `most_bytes` in all; one always is."""
        self._left = iter(fetches)
        self._next = next(self._left, None)
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._begun: deque[tuple[asyncio.Task[T], int]] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [task for task, _ in self._begun]
        for task in tasks:
            task.cancel()
        # Every task is awaited: what they raise once they are cancelled has nobody to hear it.
        await asyncio.gather(*tasks, return_exceptions=True)

    def take(self) -> asyncio.Task[T] | None:
        """The next one, whose result is the taker's to await; None after the last."""
        self._begin()
        if not self._begun:
            return None
        task, size = self._begun.popleft()
        self._bytes -= size
        self._begin()
        return task

    def _begin(self) -> None:
        while (one := self._next) is not None and len(self._begun) < self._most:
            if self._begun and self._bytes + one.bytes > self._most_bytes:
                return
            self._begun.append((asyncio.create_task(_run(one), name="fetch"), one.bytes))
            self._bytes += one.bytes
            self._next = next(self._left, None)


async def _run(fetch: Fetch[T]) -> T:
    return await fetch.run()
