"""A gate before or after one call of a bus, hints or a store: who comes there waits until it is let through."""

import asyncio
from typing import Any


class Gated:
    """A bus or a store whose method waits, when it is called for the n-th time, until it is let through."""

    def __init__(self, real: Any, method: str, *, call: int = 1, after: bool = False) -> None:
        self._real = real
        self._method = method
        self._call = call
        self._after = after
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name != self._method:
            return found

        async def gated(*args: Any, **kwargs: Any) -> Any:
            self._call -= 1
            if self._call:
                return await found(*args, **kwargs)
            if not self._after:
                await self._wait()
                return await found(*args, **kwargs)
            answer = await found(*args, **kwargs)
            await self._wait()
            return answer

        return gated

    async def _wait(self) -> None:
        self.reached.set()
        await self.go.wait()
