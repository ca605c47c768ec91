"""The running stack: Redis first, then the services; the ready file kept true; services ended first, Redis last.

Owns the order of things and the ready file. What is run is `plan`'s, one process's life `child`'s.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec

from servicekit.stop import Stop
from tapedeck import ready_file
from tapedeck.errors import UpError
from tapedeck.ready_file import Pids, Ready
from tapedeck.up import redis_server
from tapedeck.up.child import Child, Say
from tapedeck.up.data_dir import DataDir
from tapedeck.up.plan import Plan, UpOptions, make_plan

T = TypeVar("T")

POLL_S = 0.05
TELL_AFTER_S = 10.0
"""How often the operator is told what is still waited for."""
REDIS_END_S = 10.0
SUMS_END_S = 0.5
"""For answers that are under way at the sums of metrics."""
GRACE_S = 5.0
"""Beyond TAPEDECK_DRAIN_SECONDS, until a service that does not end is killed."""
DEFAULT_DRAIN_S = 25.0


class Stack:
    """The children of one `tapedeck up`."""

    def __init__(self, plan: Plan, options: UpOptions, *, drain_s: float, say: Say) -> None:
        self._plan = plan
        self._ready_path = options.ready_path
        self._drain_s = drain_s
        self._say = say
        self._written = False
        self._redis = Child(plan.redis, say, self._changed) if plan.redis is not None else None
        self._services = [Child(spec, say, self._changed) for spec in plan.services]
        self._tasks: list[asyncio.Task[None]] = []
        self._end_of_sums = Stop(SUMS_END_S)

    @property
    def ready(self) -> Ready:
        """The system as it is now."""
        pids: dict[str, list[int]] = {}
        for child in [*self._services, *([self._redis] if self._redis else [])]:
            if child.pid is not None:
                pids.setdefault(child.spec.component, []).append(child.pid)
        now = Pids(**{component: tuple(found) for component, found in pids.items()})
        return msgspec.structs.replace(self._plan.ready, pids=now)

    async def start(self) -> Ready:
        """Start everything; returns when everything answers, and has written the ready file.

        Raises UpError where a child says that its settings are wrong, or ends at once again and again, or the ready file cannot be written.
        """
        with _written(self._ready_path):  # before anything runs, for afterwards it would be in vain
            ready_file.prepare(self._ready_path)
        if self._redis is not None:
            self._tasks.append(asyncio.create_task(self._redis.run(), name="redis"))
            await self._wait_for(self._redis, partial(redis_server.answers, self._plan.redis_port))
        for one in self._plan.sums:
            self._tasks.append(asyncio.create_task(one.serve(self._end_of_sums), name=one.url))
        self._tasks += [asyncio.create_task(child.run(), name=child.spec.name) for child in self._services]
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            for child in self._services:
                url = f"{child.spec.admin_url}/readyz"
                await self._wait_for(child, partial(_answers, client, url))
        self._written = True
        with _written(self._ready_path):
            ready_file.write(self._ready_path, self.ready)
        return self.ready

    async def stop(self) -> None:
        """End the services, then Redis."""
        self._written = False
        try:
            ready_file.remove(self._ready_path)
        except OSError as error:
            self._say(f"the ready file {self._ready_path} stays, and nothing runs any more: {error.strerror}")
        async with asyncio.TaskGroup() as group:
            for child in self._services:
                group.create_task(child.stop(self._drain_s + GRACE_S))
        self._end_of_sums.set()
        if self._redis is not None:
            await self._redis.stop(REDIS_END_S)
        await asyncio.gather(*self._tasks)
        for port in self._plan.held:
            port.release()

    def kill(self) -> None:
        """End everything now; nothing that was acknowledged is lost by that."""
        for child in [*self._services, *([self._redis] if self._redis else [])]:
            child.kill()

    async def failed(self) -> None:
        """Returns only if a supervising task fails, with its exception: a bug of ours."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    def _changed(self) -> None:
        if not self._written:
            return
        try:
            ready_file.write(self._ready_path, self.ready)
        except OSError as error:  # whoever records has no part in that
            self._say(f"the ready file {self._ready_path} is out of date: {error.strerror}")

    async def _wait_for(self, child: Child, answers: Callable[[], Awaitable[bool]]) -> None:
        told = time.monotonic()
        while not await answers():
            for one in [*self._services, *([self._redis] if self._redis else [])]:
                if one.given_up:
                    raise UpError(
                        f"{one.spec.name} can't start:\n{one.log_tail() or 'its log is empty'}",
                        hint=f"correct what it names; the whole log is {one.spec.log}",
                    )
            if time.monotonic() - told > TELL_AFTER_S:
                told = time.monotonic()
                tail = child.log_tail()
                ends = f"ends:\n{tail}" if tail else "says nothing yet"
                self._say(f"still waiting for {child.spec.name}; its log ({child.spec.log}) {ends}")
            await asyncio.sleep(POLL_S)
        child.proven = True


Body = Callable[[Ready, asyncio.Event], Awaitable[int]]
"""What is done with a started system, until the event is set: returns the exit code."""


async def run_stack(options: UpOptions, environ: Mapping[str, str], say: Say, body: Body) -> int:
    """Start a stack, do `body`, stop the stack. SIGTERM, SIGINT and SIGHUP set the body's event; a second one kills all.

    Raises UpError and its kinds.
    """
    with ExitStack() as held:
        try:
            folder = DataDir(options.data_dir)
            lock = held.enter_context(folder.lock())
            plan = make_plan(options, folder, lock.fileno(), environ)
        except OSError as error:
            raise UpError(
                f"the data directory {options.data_dir} cannot be used: {error}",
                hint="choose a folder that can be made and written to with --data-dir",
            ) from error
        stack = Stack(plan, options, drain_s=_drain_s(environ), say=say)
        asked = asyncio.Event()
        with _signals(asked, stack.kill, say):
            try:
                ready = await _unless(asked, stack.start())
                return 0 if ready is None else await _while(stack.failed(), body(ready, asked))
            finally:
                await stack.stop()


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Turns what speaks against writing the ready file into UpError."""
    try:
        yield
    except OSError as error:
        raise UpError(
            f"the ready file {path} cannot be written: {error.strerror}",
            hint="name one that can be with --ready-file; without it there is one in the data directory",
        ) from error


@contextmanager
def _signals(asked: asyncio.Event, kill: Callable[[], None], say: Say) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if asked.is_set():
            kill()
            return
        say("stopping; again to stop at once")
        asked.set()

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _unless(asked: asyncio.Event, work: Coroutine[None, None, T]) -> T | None:
    """The work's result, or None if the event came first: then the work is cancelled."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(asked.wait())
    await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
        return None
    return task.result()


async def _while(supervision: Coroutine[None, None, None], body: Awaitable[T]) -> T:
    """The body's result; what the supervision raises ends both."""
    watch, work = asyncio.create_task(supervision), asyncio.ensure_future(body)
    try:
        await asyncio.wait([watch, work], return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            watch.result()
        return await work
    finally:
        for task in (watch, work):
            task.cancel()
        await asyncio.wait([watch, work])


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _drain_s(environ: Mapping[str, str]) -> float:
    try:
        return float(environ.get("TAPEDECK_DRAIN_SECONDS", ""))
    except ValueError:
        return DEFAULT_DRAIN_S  # the services say what is wrong with it
