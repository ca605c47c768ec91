"""Plans: what a client does, as generators that ask for each step of I/O and are told what came of it.

Owns the steps. A plan awaits nothing, so that one plan serves the synchronous and the asynchronous client, whose drivers carry steps out
and throw into the plan what goes wrong there: OSError, httpx.HTTPError, or what cancels the driver. A plan that has opened an answer
yields `Drop` on each way out.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import httpx

T = TypeVar("T")


@dataclass(slots=True)
class Opened:
    """An answer whose head has come."""

    response: httpx.Response
    parts: Any
    """The driver's iterator over the body as it came over the line."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; nothing secret is in it."""

    method: str
    path: str
    """From the API's root on, percent-encoded."""
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """JSON."""
    answer_s: float | None = None
    """So long the head of the answer may take where that is more than the client's own timeout."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send it and wait for the head of the answer: Opened."""

    request: Request


@dataclass(frozen=True, slots=True)
class Take:
    """Wait for the next part of the body: bytes; None after the last one."""

    opened: Opened


@dataclass(frozen=True, slots=True)
class Drop:
    """The answer is not needed any more."""

    opened: Opened


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Clock:
    """What a clock says that never goes back: seconds."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Do this, which may block: what it returns."""

    act: Callable[[], object]


Step: TypeAlias = Send | Take | Drop | Pause | Clock | OnDisk
Plan: TypeAlias = Generator[Step, Any, T]


def on_disk(act: Callable[[], T]) -> Plan[T]:
    """What `act` returns, done where it may block."""
    done: T = yield OnDisk(act)
    return done


def clock_s() -> Plan[float]:
    """A clock that never goes back."""
    now_s: float = yield Clock()
    return now_s
