"""The steps of whoever drains, reads or deletes: each request to Redis and each call of a bucket.

Between two of them nothing can be seen from outside, so what may happen at any moment is played by letting it happen before each step.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from importlib import resources
from typing import Any

from audiobus.script import script

CALLS = frozenset({"execute_command", "put", "get", "get_range", "head", "copy", "delete"})

Step = Callable[[str], Awaitable[None]]


@cache
def _scripts() -> dict[str, str]:
    """The project's scripts by their digests."""
    files = resources.files("audiobus").joinpath("lua").iterdir()
    names = [file.name.removesuffix(".lua") for file in files]
    return {script(name).digest: name for name in names}


def step_name(method: str, args: tuple[Any, ...]) -> str:
    """What a call is called: a script's name, a command of Redis, or a method of a store."""
    if method != "execute_command":
        return method
    if args[0] in ("EVALSHA", "EVAL"):
        return _scripts().get(str(args[1]), "script")
    return str(args[0])


class Stepping:
    """A client of Redis, or a store, each call of which is told: before it is made, and when it is done."""

    def __init__(self, real: Any, before: Step | None = None, after: Step | None = None) -> None:
        self._real = real
        self._before = before
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name == "list":
            return self._listed
        if name == "pipeline":
            return lambda *args, **kwargs: _Pipeline(found(*args, **kwargs), self._before, self._after)
        if name not in CALLS:
            return found

        async def step(*args: Any, **kwargs: Any) -> Any:
            told = step_name(name, args)
            if self._before:
                await self._before(told)
            answer = await found(*args, **kwargs)
            if self._after:
                await self._after(told)
            return answer

        return step

    async def _listed(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        if self._before:
            await self._before("list")
        async for one in self._real.list(*args, **kwargs):
            yield one
        if self._after:
            await self._after("list")


class _Pipeline:
    """Commands that go out together: one step."""

    def __init__(self, real: Any, before: Step | None, after: Step | None) -> None:
        self._real = real
        self._before = before
        self._after = after
        self._names: list[str] = []

    def execute_command(self, *args: Any) -> None:
        """One of them."""
        self._names.append(step_name("execute_command", args))
        self._real.execute_command(*args)

    async def execute(self, **kwargs: Any) -> Any:
        """Sends them."""
        told = "+".join(self._names)
        if self._before:
            await self._before(told)
        answers = await self._real.execute(**kwargs)
        if self._after:
            await self._after(told)
        return answers


class Meanwhile:
    """Something happens before the n-th step of a process, which is paused until it is over."""

    def __init__(self, at: int, act: Callable[[], Awaitable[object]]) -> None:
        """`at`: from 1 on."""
        self.at = at
        self._act = act
        self.taken = 0

    @property
    def happened(self) -> bool:
        """Whether the process got so far."""
        return self.taken >= self.at

    async def step(self, _name: str) -> None:
        """Counts, and lets it happen."""
        self.taken += 1
        if self.taken == self.at:
            await self._act()

    def before(self, real: Any) -> Any:
        """A client of Redis, or a store, whose calls are steps."""
        return Stepping(real, self.step)


class Killed(BaseException):
    """The process is gone. No error: nothing in it may catch this."""


class Death:
    """The process is killed at its n-th step: before it is carried out, or after. Nothing that it tries later is carried out either."""

    def __init__(self, at: int, *, after: bool) -> None:
        """`at`: from 1 on."""
        self.at = at
        self._late = after
        self.taken = 0

    async def before(self, _name: str) -> None:
        """Counts, and dies."""
        self.taken += 1
        if self.taken > self.at or (self.taken == self.at and not self._late):
            raise Killed

    async def after(self, _name: str) -> None:
        """Dies of a step that was carried out."""
        if self.taken >= self.at:
            raise Killed

    def of(self, real: Any) -> Any:
        """A client of Redis, or a store, whose calls are steps."""
        return Stepping(real, self.before, self.after)
