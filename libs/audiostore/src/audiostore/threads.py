"""A thread pool with a deadline: where blocking libraries run.

Owns its threads and the rule that no caller waits longer than the deadline. It must not know what runs in it. Python has no way to stop a
thread: what runs past its deadline (or whose caller was cancelled) goes on to its own end, so every call brings time limits of its
own that are shorter.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from audiostore.errors import TransientStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Threads:
    """`size` threads; a call that has waited and worked for `deadline_s` seconds is given up with TransientStoreError."""

    def __init__(self, name: str, size: int, deadline_s: float) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._deadline_s = deadline_s

    async def run(self, doing: str, call: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """What the call returns or raises. `doing` names the operation and the object in the text of a passed deadline."""
        future = asyncio.wrap_future(self._pool.submit(call, *args, **kwargs))
        limit = asyncio.timeout(self._deadline_s)
        try:
            async with limit:
                return await future
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TransientStoreError(
                f"{doing}: not done after {self._deadline_s:g} s; the store is slow or away"
            ) from error

    async def close(self) -> None:
        """Wait for what runs; drop what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._pool.shutdown)
