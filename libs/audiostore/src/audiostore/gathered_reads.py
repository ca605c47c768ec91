"""Short reads that are asked for in the same turn of the event loop, several of them in one thread: handing one over takes longer than reading it.

Owns how many share a thread. That follows from how long the last ones took: where a disk makes each wait, each has a thread of its own, as many
as there are. It must not know what is read.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeAlias

from audiostore.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from audiostore.threads import Threads

    Read: TypeAlias = Callable[[str, int, int], bytes]
    Wanted: TypeAlias = tuple[str, int, int, asyncio.Future[bytes]]

MOST: Final = 16
"""Reads that share a thread."""
THREAD_S: Final = 0.001
"""So long they may take together."""


def sharing(read_s: float) -> int:
    """How many reads share a thread, where the last one took `read_s`."""
    return max(1, min(MOST, int(THREAD_S / max(read_s, 1e-9))))


class GatheredReads:
    """Reads by `read`, which is given name, start and end, and blocks."""

    def __init__(self, read: Read, threads: Threads) -> None:
        self._read = read
        self._threads = threads
        self._read_s = THREAD_S
        """That one of the last ones took; until that is known, each has a thread."""
        self._waiting: list[Wanted] = []
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, name: str, start: int, end: int) -> bytes:
        """What `read` returns or raises. TransientStoreError where those that share its thread are not done in time."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bytes] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._begin)
        self._waiting.append((name, start, end, found))
        return await found

    async def close(self) -> None:
        """Waits for what runs."""
        await asyncio.gather(*self._running)

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        size = sharing(self._read_s)
        for at in range(0, len(waiting), size):
            task = asyncio.create_task(self._run(waiting[at : at + size]), name="gathered reads")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, wanted: list[Wanted]) -> None:
        """Never raises: whoever asked hears of it."""
        others = f" and {len(wanted) - 1} others" if len(wanted) > 1 else ""
        try:
            outcomes, took_s = await self._threads.run(f"get {wanted[0][0]}{others}", self._in_thread, wanted)
        except StoreError as error:
            outcomes, took_s = [error] * len(wanted), THREAD_S
        self._read_s = took_s / len(wanted)
        for (_name, _start, _end, found), outcome in zip(wanted, outcomes, strict=True):
            if found.done():  # nobody waits for it any more
                continue
            if isinstance(outcome, bytes):
                found.set_result(outcome)
            else:
                found.set_exception(outcome)

    def _in_thread(self, wanted: list[Wanted]) -> tuple[list[bytes | Exception], float]:
        began_at = time.perf_counter()
        outcomes: list[bytes | Exception] = []
        for name, start, end, _found in wanted:
            try:
                outcomes.append(self._read(name, start, end))
            except Exception as error:  # noqa: BLE001 - it goes to whoever asked for this one
                outcomes.append(error)
        return outcomes, time.perf_counter() - began_at
