"""Short reads that are asked for in the same turn of the event loop, several of them in one thread: handing one over takes longer than reading it.

Owns how many share a thread. That follows from how long the last ones took: where a disk makes each wait, each has a thread of its own, as many
as there are. Owns as well what a read that hangs can hold: its thread, and itself. It must not know what is read.
"""

from __future__ import annotations

import asyncio
import threading
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
PARTED_S: Final = 1.0
"""Those that share a thread wait so long for one of them, and are read without it then."""
HANGS_S: Final = 10.0
"""Who wants something of an object of which a read takes longer than this already hears so at once: no thread is lost to it twice."""


def sharing(read_s: float) -> int:
    """How many reads share a thread, where the last one took `read_s`."""
    return max(1, min(MOST, int(THREAD_S / max(read_s, 1e-9))))


@dataclass(slots=True, eq=False)
class _Together:
    """Reads of one thread. That writes, and who waits for it looks on."""

    wanted: list[Wanted]
    begun: int = 0
    """How many of them."""
    begun_at: float = 0.0
    """When the last of these was, by `time.monotonic`."""
    outcomes: list[bytes | Exception] = field(default_factory=list)
    """Of those that are done."""
    parted: bool = False
    """Whether no other is begun."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while one is begun."""

    def begin(self) -> bool:
        """Of the thread: whether the next one is begun."""
        with self.lock:
            if not self.parted:
                self.begun += 1
                self.begun_at = time.monotonic()
            return not self.parted

    def part(self) -> list[Wanted]:
        """Takes those off that are not begun: the thread ends with the one that it reads."""
        with self.lock:
            self.parted = True
            self.wanted, left = self.wanted[: self.begun], self.wanted[self.begun :]
            return left

    def hangs(self, for_s: float) -> str | None:
        """The name of what has been under way for longer than this; None where nothing is."""
        with self.lock:
            done = len(self.outcomes)
            if self.begun == done or time.monotonic() - self.begun_at <= for_s:
                return None
            return self.wanted[done][0]


class GatheredReads:
    """Reads by `read`, which is given name, start and end, and blocks."""

    def __init__(self, read: Read, threads: Threads) -> None:
        self._read = read
        self._threads = threads
        self._read_s = THREAD_S
        """That one of the last ones took; until that is known, each has a thread."""
        self._waiting: list[Wanted] = []
        self._running: set[asyncio.Task[None]] = set()
        self._together: set[_Together] = set()
        """What runs."""
        self._slow: list[_Together] = []
        """Those that were parted, and whose threads may be lost: no more than there are threads, and each waits for another object."""
        self._look: asyncio.TimerHandle | None = None

    async def get(self, name: str, start: int, end: int) -> bytes:
        """What `read` returns or raises. TransientStoreError where it is not done in time, or another read of the same object hangs."""
        if self._slow:
            self._require_no_hang(name)
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
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        size = sharing(self._read_s)
        for at in range(0, len(waiting), size):
            self._start(waiting[at : at + size])

    def _start(self, wanted: list[Wanted]) -> None:
        together = _Together(wanted)
        self._together.add(together)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(PARTED_S, self._part)
        task = asyncio.create_task(self._run(together), name="gathered reads")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, together: _Together) -> None:
        """Never raises: whoever asked hears of it. Where one hangs, those after it are read again, each in a thread of its own."""
        wanted = together.wanted
        others = f" and {len(wanted) - 1} others" if len(wanted) > 1 else ""
        doing, error = f"get {wanted[0][0]}{others}", None
        try:
            self._read_s = await self._threads.run(doing, self._in_thread, together) / len(wanted)
        except Exception as met:  # noqa: BLE001 - it goes to all that wait: the store may be closed
            self._read_s, error = THREAD_S, met
        self._together.discard(together)
        # Those that it did not begin may do better elsewhere; it may go on meanwhile.
        worthwhile = error is None or (together.begun and isinstance(error, TransientStoreError))
        after = together.part() if worthwhile else []
        self._answer(together)
        for _name, _start, _end, found in together.wanted:
            if error is not None and not found.done():
                found.set_exception(error)
        for one in after:
            self._start([one])

    def _answer(self, together: _Together) -> None:
        """Tells what came of those that are done."""
        for (_name, _start, _end, found), outcome in zip(together.wanted, [*together.outcomes], strict=False):
            if found.done():  # nobody waits for it any more, or it was told before
                continue
            if isinstance(outcome, bytes):
                found.set_result(outcome)
            else:
                found.set_exception(outcome)

    def _part(self) -> None:
        """Has nobody wait for what takes long but those who want it."""
        self._look = asyncio.get_running_loop().call_later(PARTED_S, self._part) if self._together else None
        for together in [one for one in self._together if not one.parted and one.hangs(PARTED_S)]:
            self._slow = [*(one for one in self._slow if one.hangs(PARTED_S)), together]
            self._read_s = THREAD_S
            for one in together.part():
                self._start([one])
            self._answer(together)

    def _require_no_hang(self, name: str) -> None:
        self._slow = [one for one in self._slow if one.hangs(PARTED_S)]
        if any(one.hangs(HANGS_S) == name for one in self._slow):
            raise TransientStoreError(f"get {name}: another read of it hangs", slow=True)

    def _in_thread(self, together: _Together) -> float:
        """How long they took."""
        began_at, call = time.perf_counter(), under_way()
        for name, start, end, _found in together.wanted:
            if (call is not None and call.given_up) or not together.begin():
                break
            try:
                together.outcomes.append(self._read(name, start, end))
            except Exception as error:  # noqa: BLE001 - it goes to whoever asked for this one
                together.outcomes.append(error)
        return time.perf_counter() - began_at
