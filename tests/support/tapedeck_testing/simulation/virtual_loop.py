"""An asyncio event loop under virtual time, and the processes whose tasks it runs.

Time stands still while anything is ready, and then jumps to the next timer. Nothing here reads a real clock, opens a file or starts a
thread: work for an executor is done in the loop, after a virtual delay. A callback belongs to the process in whose context it was
scheduled, so a whole process can be killed (none of its code runs again, no `finally` either) or stopped and continued.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

START_S: Final = 1_000.0
"""What the loop's clock says at first."""
_CLOSES: Final = 8
"""So often a coroutine that awaits in its `finally` is closed before it is let go."""


class StuckError(AssertionError):
    """Nothing is left that could ever happen, or too much happens: the world cannot come to rest."""


class Process:
    """One process of the simulated system."""

    __slots__ = ("dead", "name", "paused", "skew_ms", "stash", "tasks")

    def __init__(self, name: str, skew_ms: int = 0) -> None:
        self.name = name
        self.skew_ms = skew_ms
        """How far the clock of its machine is off."""
        self.dead = False
        self.paused = False
        self.stash: deque[Call] = deque()
        """What came while it was stopped."""
        self.tasks: list[asyncio.Task[Any]] = []


OUTSIDE: Final = Process("outside")
"""Whatever belongs to no process of the system: servers, the network, clients, the run itself."""
PROCESS: Final[ContextVar[Process]] = ContextVar("process", default=OUTSIDE)


class Call:
    """A callback that waits for its turn, or for its time: what asyncio's handles are, at a fraction of their cost."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_when")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context, when: float
    ) -> None:
        self._callback = callback
        self._args = args
        self._context = context
        self._when = when
        self._cancelled = False

    def cancel(self) -> None:
        """It is left out when its turn comes."""
        self._cancelled = True

    def cancelled(self) -> bool:
        """Whether it is left out."""
        return self._cancelled

    def when(self) -> float:
        """Its time, by the loop's clock."""
        return self._when


class SimulatedTask(asyncio.Task[T]):
    """A task with a hash of its own, so that a set of tasks has the same order in each run."""

    def __init__(
        self, number: int, work: Any, loop: asyncio.AbstractEventLoop, context: Context | None
    ) -> None:
        self.number = number  # first: asyncio keeps a set of all tasks
        super().__init__(work, loop=loop, context=context)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks one after another, always in the same order for the same calls."""

    def __init__(self, *, most_steps: int, work_s: Callable[[], float]) -> None:
        """`most_steps`: callbacks before it is taken for stuck. `work_s`: how long a job of an executor takes."""
        super().__init__()
        self._now = START_S
        self._ready: deque[Call] = deque()
        self._timers: list[tuple[float, int, Call]] = []
        self._sequence = 0
        self._tasks = 0
        self.steps = 0
        self._most_steps = most_steps
        self._work_s = work_s
        self.failures: list[str] = []
        """Exceptions that nobody took."""
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._failed)

    # -- what asyncio asks for -------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override] # the stub wants a TypeVarTuple for the arguments
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        call = Call(callback, args, copy_context() if context is None else context, 0.0)
        self._ready.append(call)
        return call

    def call_at(  # type: ignore[override] # the same
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        call = Call(callback, args, copy_context() if context is None else context, when)
        self._sequence += 1
        heappush(self._timers, (when, self._sequence, call))
        return call

    def call_later(  # type: ignore[override] # the same
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        when = self._now + delay
        call = Call(callback, args, copy_context() if context is None else context, when)
        self._sequence += 1
        heappush(self._timers, (when, self._sequence, call))
        return call

    def run_in_executor(  # type: ignore[override] # asyncio's own stub has overloads for each loop
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            if future.done():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - handed on to whoever waits
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(self._work_s(), work)
        return future

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is left out when its time comes."""

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""

    def _asyncgen_finalizer_hook(self, agen: object) -> None:
        """What is left of a generator that nobody reads on is not run: there is nothing in it that a server would hear of."""

    # -- processes -------------------------------------------------------------------------------------------------

    def spawn(self, process: Process, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Runs a coroutine as the process."""
        context = Context()
        context.run(PROCESS.set, process)
        return self.create_task(work, name=name, context=context)

    def kill(self, process: Process) -> None:
        """None of its code runs again."""
        process.dead = True
        process.stash.clear()

    def carry_on(self, process: Process) -> None:
        """A stopped process goes on: everything that came meanwhile comes at once."""
        process.paused = False
        self._ready.extend(process.stash)
        process.stash.clear()

    def bury(self, processes: list[Process]) -> None:
        """Takes apart what tasks are left, so that none is heard of when its memory is given back."""
        for process in processes:
            for task in process.tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined] # as asyncio's own tests do
                    coroutine: Any = task.get_coro()
                    for _ in range(_CLOSES):
                        with suppress(Exception, BaseExceptionGroup):
                            coroutine.close()
                            break
            process.tasks.clear()
            process.stash.clear()
        self._timers.clear()
        self._ready.clear()

    # -- running ---------------------------------------------------------------------------------------------------

    def _run_once(self) -> None:
        ready = self._ready
        if not ready:
            self._jump()
        for _ in range(len(ready)):
            call = ready.popleft()
            if call._cancelled:
                continue
            context = call._context
            process = context.get(PROCESS, OUTSIDE)
            if process.dead:
                continue
            if process.paused:
                process.stash.append(call)
                continue
            self.steps += 1
            try:
                context.run(call._callback, *call._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio: whatever a callback raises is nobody's
                self.call_exception_handler({"message": "Exception in callback", "exception": error})
        if self.steps > self._most_steps:
            raise StuckError(f"{self.steps} callbacks, and no end: something turns in a circle")

    def _jump(self) -> None:
        timers = self._timers
        while timers:
            when, _, call = heappop(timers)
            if call._cancelled:
                continue
            self._now = max(self._now, when)
            self._ready.append(call)
            return
        raise StuckError("nobody waits for anything: nothing can ever happen again")

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, context: Context | None = None
    ) -> asyncio.Task[Any]:
        self._tasks += 1
        task: SimulatedTask[Any] = SimulatedTask(self._tasks, work, loop, context)
        (context.get(PROCESS, OUTSIDE) if context is not None else PROCESS.get()).tasks.append(task)
        return task

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if str(context.get("message")).startswith("Future exception was never retrieved"):
            return  # an answer that came for a caller who was killed, or had given up
        self.failures.append(f"{context.get('message')}: {type(error).__name__}: {error}")
