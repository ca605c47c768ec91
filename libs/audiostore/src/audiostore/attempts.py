"""The tries of one operation on a store: how long, how often, with which pauses; data, and the loop that follows it.

Owns the rule that no operation outlives its deadline and that only what may help is tried again (errors that say `retryable`, but for
ChecksumError, which the caller must hear of). `repeated` tells the operation that a try before may have done its work unheard.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from audiostore.errors import TransientStoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Patience:
    """Pauses double from the first to the longest, each shortened at random by up to a half."""

    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0
    begin_for_s: float = 35.0
    """After this no further try begins."""
    deadline_s: float = 60.0
    """After this the operation is given up, whatever it does: tries and a last one of the usual length fit in."""
    away_for_s: float | None = None
    """`begin_for_s` after a try that shows the store to be away (refused, unresolvable, 5xx): one that is merely slow is tried for longer. None: no
    shorter than for any."""

    def tries_for_s(self, *, slow: bool) -> float:
        """So long after the first try another may begin, where the last one failed of a store that is `slow`, else of one that is away."""
        if slow or self.away_for_s is None:
            return self.begin_for_s
        return min(self.away_for_s, self.begin_for_s)


PATIENCE = Patience()


class Attempts:
    """The tries of one operation; several requests may share them, and then share their time."""

    def __init__(self, patience: Patience) -> None:
        self.repeated = False
        """A `write` failed in a way that may have done its work: from now on "taken" may mean taken by ourselves."""
        self._patience = patience
        self._began_at = asyncio.get_running_loop().time()
        self._pause_s = patience.first_pause_s

    async def read(self, call: Callable[[], Awaitable[_R]]) -> _R:
        """What the call returns; after a TransientStoreError it is called again while there is time, then the last error is raised."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await call()
            except TransientStoreError as error:
                pause_s = self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311 — spreads load, guards nothing
                if loop.time() + pause_s - self._began_at > self._patience.tries_for_s(slow=error.slow):
                    raise
            self._pause_s = min(2 * self._pause_s, self._patience.longest_pause_s)
            await asyncio.sleep(pause_s)

    async def write(self, call: Callable[[], Awaitable[_R]]) -> _R:
        """The same for a call that creates: each one that fails may have done its work."""

        async def noted() -> _R:
            try:
                return await call()
            except TransientStoreError:
                self.repeated = True
                raise

        return await self.read(noted)


@asynccontextmanager
async def attempts(doing: str, patience: Patience) -> AsyncIterator[Attempts]:
    """Tries under a deadline. `doing` names the operation and the object in the text of a passed one."""
    limit = asyncio.timeout(patience.deadline_s)
    try:
        async with limit:
            yield Attempts(patience)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TransientStoreError(
            f"{doing}: not done after {patience.deadline_s:g} s; the store is slow or away"
        ) from error
