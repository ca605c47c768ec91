"""A store, or a client of Redis, whose process dies at a call: for tests that kill it at every step."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any


class DiesError(Exception):
    """The process is killed."""


class Mortal:
    """Does what the real one does, until its process dies."""

    def __init__(self, real: Any, left: list[int]) -> None:
        """`left`: calls until then; all that are given the same list count it down together."""
        self._real, self._left = real, left

    def _live(self) -> None:
        self._left[0] -= 1
        if self._left[0] < 0:
            raise DiesError

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._live()
            return await found(*args, **kwargs)

        return call

    async def list(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """As of the real one; it is a generator, not a coroutine."""
        self._live()
        async for info in self._real.list(*args, **kwargs):
            yield info

    async def list_folders(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """The same."""
        self._live()
        async for folder in self._real.list_folders(*args, **kwargs):
            yield folder
