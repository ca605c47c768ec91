"""A store that can be switched off, for tests of what is done while a bucket is away."""

from collections.abc import AsyncIterator, Callable
from typing import Any


class Switched:
    """A bucket that is away while `away` is set; with `works` only its replies to puts are lost."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.away: Exception | None = None
        self.works = False
        self.calls = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.away is None:
                return await getattr(self.real, name)(*args, **kwargs)
            if self.works and name == "put":
                await self.real.put(*args, **kwargs)
            raise self.away

        return call

    async def list(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """As of the real one; it is a generator, not a coroutine."""
        self.calls += 1
        if self.away is not None and not self.works:
            raise self.away
        async for info in self.real.list(*args, **kwargs):
            yield info

    async def list_folders(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """The same."""
        self.calls += 1
        if self.away is not None and not self.works:
            raise self.away
        async for folder in self.real.list_folders(*args, **kwargs):
            yield folder
