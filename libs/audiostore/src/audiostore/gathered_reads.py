"""Short reads that are asked for in the same turn of the event loop, several of them in one thread: handing one over takes longer than reading it.

Owns how many share a thread. That follows from how long the last ones took: where a disk makes each wait, each has a thread of its own, as many
as there are. It must not know what is read.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from audiostore.errors import TransientStoreError
from audiostore.threads import under_way

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


@dataclass(slots=True)
class _Together:
    """Reads of one thread. That writes, and who waits for it looks on."""

    wanted: list[Wanted]
    begun: int = 0
    """How many of them."""
    outcomes: list[bytes | Exception] = field(default_factory=list)
    """Of those that are done."""


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
        """What `read` returns or raises. TransientStoreError where it is not done in time."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bytes] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._begin)
        self._waiting.append((name, start, end, found))
        return await found

    async def close(self) -> None:
        """Waits for what runs, and for what is asked for already."""
        while self._waiting or self._running:
            await asyncio.sleep(0)
            await asyncio.gather(*self._running)

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        size = sharing(self._read_s)
        for at in range(0, len(waiting), size):
            task = asyncio.create_task(self._run(waiting[at : at + size]), name="gathered reads")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, wanted: list[Wanted]) -> None:
        """Never raises: whoever asked hears of it. Where one hangs, those after it are read again, each in a thread of its own."""
        others = f" and {len(wanted) - 1} others" if len(wanted) > 1 else ""
        together = _Together(wanted)
        doing = f"get {wanted[0][0]}{others}"
        try:
            self._read_s = await self._threads.run(doing, self._in_thread, together) / len(wanted)
        except Exception as error:  # noqa: BLE001 - it goes to all that wait: the store may be closed
            self._read_s = THREAD_S
            done, begun = [*together.outcomes], together.begun  # the thread may go on meanwhile
            hangs, after = wanted[len(done) : begun], wanted[begun:]
            if not begun or not isinstance(error, TransientStoreError):
                hangs, after = [*hangs, *after], []
            outcomes = [*done, *[error] * len(hangs)]
        else:
            outcomes, after = together.outcomes, wanted[together.begun :]
        for (_name, _start, _end, found), outcome in zip(wanted, outcomes, strict=False):
            if found.done():  # nobody waits for it any more
                continue
            if isinstance(outcome, bytes):
                found.set_result(outcome)
            else:
                found.set_exception(outcome)
        await asyncio.gather(*(self._run([one]) for one in after))

    def _in_thread(self, together: _Together) -> float:
        """How long they took."""
        began_at, call = time.perf_counter(), under_way()
        for name, start, end, _found in together.wanted:
            if call is not None and call.given_up:
                break
            together.begun += 1
            try:
                together.outcomes.append(self._read(name, start, end))
            except Exception as error:  # noqa: BLE001 - it goes to whoever asked for this one
                together.outcomes.append(error)
        return time.perf_counter() - began_at
