"""Which conversations this process works on: never one twice at once, never more than so many.

Owns the hints between their reading and their acknowledgement. A hint is acknowledged only after the worker is done with its
conversation; where Redis goes away before, it stays pending and is read again.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Final

from audiobus.conversation import Conversation
from audiobus.errors import BusError
from audiobus.hints import Hint
from pusher.reason import Reason
from servicekit.ending import end

log = logging.getLogger(__name__)

AT_ONCE: Final = 32
HANGS_S: Final = 2.0
"""What has waited for a bucket so long hangs, perhaps for as long as an operation may: its slot is lent meanwhile."""


class Dispatch:
    """Takes hints and follows them, each conversation in a task of its own."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        drain: Callable[[Conversation], Awaitable[None]],
        done: Callable[[Hint], Awaitable[None]],
        *,
        at_once: int = AT_ONCE,
        wished: Callable[[Conversation], None] = lambda _conversation: None,
        put_off: Callable[[Conversation], Awaitable[None]] | None = None,
    ) -> None:
        """`drain` follows the hints at a conversation, `done` acknowledges one. `wished`: somebody waits for it to be stored.

        `put_off` puts one on `due` for a little later, where Redis did not answer for it. Without, its hints stay pending and are read again.
        """
        self._tasks = tasks
        self._drain = drain
        self._done = done
        self._wished = wished
        self._put_off = put_off
        self._slots = asyncio.Semaphore(at_once)
        self._at_once = at_once
        self._lent = 0
        """Slots of those that hang, in which others run now; half of all at most."""
        self._owed = 0
        """Slots that were lent and whose owners go on: the next that end give theirs up."""
        self._held: set[tuple[int, bytes]] = set()
        self._waiting: dict[Conversation, list[Hint]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False
        self.failures = 0
        """How many hints could not be followed to the end: they are still pending and want to be read again."""

    @property
    def room(self) -> int:
        """How many more conversations can be worked on."""
        return max(0, self._at_once + self._lent - len(self._running))

    async def wait_for_room(self) -> None:
        """Returns when there is some."""
        await self._room.wait()

    def take(self, hint: Hint) -> bool:
        """Follows the hint; False if it is being followed already (a pending one, read again)."""
        key = (hint.partition, hint.id)
        if key in self._held or self._closed:
            return False
        self._held.add(key)
        if hint.conversation is not None and hint.reason == Reason.FLUSH:
            self._wished(hint.conversation)
        if hint.conversation is None:
            self._start(self._finish([hint]))
        elif (hints := self._waiting.get(hint.conversation)) is not None:
            # The worker on it may have looked before what this hint speaks of: it looks once more.
            hints.append(hint)
        else:
            self._waiting[hint.conversation] = [hint]
            leave = functools.partial(self._leave, hint.conversation)
            self._start(self._follow(hint.conversation)).add_done_callback(leave)
        return True

    @contextmanager
    def lending(self) -> Iterator[None]:
        """For whoever waits for a bucket in a slot: if it takes long, another conversation runs meanwhile.

        Nobody knows before an object's first try that it hangs. So many may hang at once as there are slots, and others go on.
        """
        lent = False

        def lend() -> None:
            nonlocal lent
            if self._lent < self._at_once // 2:
                lent = True
                self._lent += 1
                self._give_slot()
                self._seen()

        timer = asyncio.get_running_loop().call_later(HANGS_S, lend)
        try:
            yield
        finally:
            timer.cancel()
            if lent:
                self._lent -= 1
                self._owed += 1
                self._seen()

    async def close(self, within_s: float) -> None:
        """Takes nothing more, lets what runs end, and cancels what does not end in time."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=within_s)
        await end(list(self._running))

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._tasks.create_task(work)
        self._running.add(task)
        self._seen()
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._seen()

    def _give_slot(self) -> None:
        if self._owed:
            self._owed -= 1
        else:
            self._slots.release()

    def _seen(self) -> None:
        if self.room:
            self._room.set()
        else:
            self._room.clear()

    async def _follow(self, conversation: Conversation) -> None:
        """Works on the conversation until no hint at it is left. The top of a task."""
        await self._slots.acquire()
        try:
            while hints := self._waiting[conversation]:
                self._waiting[conversation] = []
                if self._closed:
                    self._give_up(hints)
                    break
                try:
                    await self._drain(conversation)
                except BusError as error:
                    log.warning(
                        "Redis went away while a conversation was drained", extra={"error": str(error)}
                    )
                    if await self._is_put_off(conversation):
                        await self._finish(hints)
                    else:
                        self.failures += 1
                        self._give_up(hints)
                except Exception:
                    # A defect. The conversation is on `due`; what must not happen is that it stops the others.
                    log.critical("draining a conversation failed", exc_info=True)
                    await self._finish(hints)
                except asyncio.CancelledError:
                    self.failures += 1
                    self._give_up(hints)
                    raise
                else:
                    await self._finish(hints)
            # In one step with the last look: a hint that comes from now on begins a task of its own.
            del self._waiting[conversation]
        finally:
            self._give_slot()

    async def _is_put_off(self, conversation: Conversation) -> bool:
        """Whether it is on `due` for later: of a cluster the master with its buffer may be away, and the one with its hints not.

        Its hints need not be read again and again then, as if whoever follows them died of it.
        """
        if self._put_off is None:
            return False
        try:
            await self._put_off(conversation)
        except BusError:
            return False
        return True

    def _leave(self, conversation: Conversation, task: asyncio.Task[None]) -> None:
        """Nobody works on it any more. Not in the task: one that is cancelled before it begins runs nothing, and the next hint needs a new one."""
        if not task.cancelled() and task.exception() is None:
            return  # it left by itself, and another may work on it by now
        hints = self._waiting.pop(conversation)
        if hints and not self._closed:
            self.failures += 1
        self._give_up(hints)

    async def _finish(self, hints: list[Hint]) -> None:
        try:
            for hint in hints:
                await self._done(hint)
        except BusError as error:
            log.warning("a hint could not be acknowledged", extra={"error": str(error)})
            self.failures += 1
        except Exception:
            # A defect must not end the group that all conversations are worked on in.
            log.critical("acknowledging a hint broke", exc_info=True)
            self.failures += 1
        finally:
            self._give_up(hints)

    def _give_up(self, hints: list[Hint]) -> None:
        """Whatever was not acknowledged stays pending in Redis."""
        self._held.difference_update((hint.partition, hint.id) for hint in hints)
