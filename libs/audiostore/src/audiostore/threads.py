"""A thread pool with a deadline: where blocking libraries run.

Owns its threads and the rule that no caller waits longer than the deadline. It must not know what runs in it. Python has no way to stop a
thread: what runs past its deadline (or whose caller was cancelled) goes on to its own end. So a call brings time limits of its own that are
shorter, or says how it is broken off (`under_way`): else a thread of the pool is lost with each.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from audiostore.errors import TransientStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")


_of_thread = threading.local()


class Call:
    """One call in a thread: how it is broken off, and what is to be closed at its end. `ends_at`: its deadline, by `time.monotonic`."""

    def __init__(self, ends_at: float) -> None:
        self.begun = False
        """Whether a thread has it."""
        self._ends_at = ends_at
        self._lock = threading.Lock()
        self._given_up = False
        self._how: Callable[[], None] | None = None
        self._at_end: list[Callable[[], Any]] = []

    @property
    def given_up(self) -> bool:
        """Whether nobody waits for it any more, or its time is up: after a pause of the process a thread may run before anybody is told so."""
        return self._given_up or time.monotonic() >= self._ends_at

    def broken_off_by(self, how: Callable[[], None]) -> None:
        """From now on the call ends soon after `how` was called, from any thread; at once if nobody waits for it any more."""
        with self._lock:
            self._how = how
            if self._given_up:
                how()

    def closes(self, close: Callable[[], Any]) -> None:
        """`close` is called at the end of the call, in its thread, whatever came of it."""
        self._at_end.append(close)

    def give_up(self) -> None:
        """Nobody waits for it any more. Nothing where it has ended."""
        with self._lock:
            self._given_up = True
            if self._how is not None:
                self._how()

    def end(self) -> None:
        """It has ended."""
        with self._lock:
            self._how = None
        while self._at_end:
            self._at_end.pop()()


def under_way() -> Call | None:
    """The call that runs in this thread, if one of `Threads` does."""
    call: Call | None = getattr(_of_thread, "call", None)
    return call


class Threads:
    """`size` threads; a call that has waited and worked for `deadline_s` seconds is given up with TransientStoreError, `slow` where it had a thread."""

    def __init__(self, name: str, size: int, deadline_s: float) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._deadline_s = deadline_s

    async def run(self, doing: str, call: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """What the call returns or raises. `doing` names the operation and the object in the text of a passed deadline."""
        this = Call(time.monotonic() + self._deadline_s)
        future = asyncio.wrap_future(
            self._pool.submit(_in_thread, this, functools.partial(call, *args, **kwargs))
        )
        limit = asyncio.timeout(self._deadline_s)
        try:
            async with limit:
                return await future
        except asyncio.CancelledError:
            this.give_up()
            raise
        except TimeoutError as error:
            if not limit.expired():
                raise
            this.give_up()
            raise TransientStoreError(
                f"{doing}: not done after {self._deadline_s:g} s; the store is slow or away",
                slow=this.begun,
            ) from error

    async def close(self) -> None:
        """Wait for what runs; drop what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._pool.shutdown)


def _in_thread(this: Call, call: Callable[[], _R]) -> _R:
    _of_thread.call = this
    this.begun = True
    try:
        return call()
    finally:
        _of_thread.call = None
        this.end()
