"""Threads for what keeps a core busy: parsing and decoding. libopus runs without the interpreter's lock.

Owns the pools. Knows nothing of what runs in them. They are small on purpose: each call of libopus gives the lock away and wants it back, so a
dozen threads that parse at once take three times as long, measured, as three of them. There are two, for what takes long must not stand before what does not:
a request that opens an object would wait for a minute of everybody's audio to be decoded, and again for the next object.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


SHORT_THREADS: Final = 3


class Workers:
    """As many threads as there are cores for what takes long, and a few for the rest, which mostly waits on the interpreter."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(SHORT_THREADS, thread_name_prefix="parse")
        self._turn = asyncio.Lock()
        self._long = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="codec")

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What the call, of milliseconds, returns or raises. Cancelling waits for nothing: the call ends by itself, unheard."""
        return await asyncio.wrap_future(self._pool.submit(call, *args, **kwargs))

    async def run_here(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same of a call so short that handing it to a thread takes as long: one a turn of the event loop, for all who ask, in their order."""
        async with self._turn:
            try:
                return call(*args, **kwargs)
            finally:
                await asyncio.sleep(0)

    async def run_long(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same of a call that decodes or encodes."""
        return await asyncio.wrap_future(self._long.submit(call, *args, **kwargs))

    def close(self) -> None:
        """Drops what has not begun."""
        for pool in (self._pool, self._long):
            pool.shutdown(wait=False, cancel_futures=True)
