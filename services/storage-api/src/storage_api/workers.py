"""Threads for what keeps a core busy: parsing and decoding. libopus runs without the interpreter's lock.

Owns the pool. Knows nothing of what runs in it. It is small on purpose: each call of libopus gives the lock away and wants it back, so a
dozen threads that parse at once take three times as long, measured, as three of them.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Workers:
    """As many threads as there are cores, and one more for what waits on the interpreter."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor((os.cpu_count() or 1) + 1, thread_name_prefix="codec")

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What the call returns or raises. Cancelling waits for nothing: the call ends by itself, unheard."""
        future = self._pool.submit(call, *args, **kwargs)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drops what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
