"""How often and after which pauses a request is sent again. Pure arithmetic: told the time and the dice.

Not httpx's transport retries, which know connections only and would multiply with these; no library of retries is among the
dependencies, and none of them can serve one plan for threads and for asyncio.
"""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx

Again = Literal["always", "refused", "unsent"]
"""When a request may be sent again: whatever became of it (it changes nothing, or the same thing once); where the server refused it with 429
or 503 and said when to come back; only where it never left."""

UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
COME_BACK = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Retries:
    """How patient a client is with one request. `Retries(times=0)` sends nothing again."""

    times: int = 4
    """At most so many times a request is sent again."""
    resumes: int = 8
    """At most so many times in a row a download that broke is taken up again without a byte in between."""
    first_pause_s: float = 0.25
    """The first pause is up to this long, and at least half of it; each later one twice as long as the one before."""
    longest_pause_s: float = 8.0
    longest_retry_after_s: float = 60.0
    """A server that asks for a longer pause is not waited for."""
    refused_for_s: float = 60.0
    """Who is told to come back (429 or 503 with `Retry-After`) does so for this long, though `times` be used up by then: a bucket may be away
    for a minute, and the server says so within seconds. 0: `times` alone."""

    def pause_s(self, tried: int, dice: float) -> float:
        """Before try `tried + 1`, `tried` from 1: `dice` (0 to 1) spreads clients out."""
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(tried - 1, 30)) * (1 + dice) / 2


class Tries:
    """The tries of one request, which count together whatever each of them failed of."""

    def __init__(self, retries: Retries, dice: Callable[[], float]) -> None:
        self._retries = retries
        self._dice = dice
        self._tried = 1
        self._refused_since_s: float | None = None

    def pause_s(self) -> float | None:
        """Before the next try; None where there is to be none."""
        return None if self._tried > self._retries.times else self._next_pause_s()

    def refused_pause_s(self, retry_after_s: float | None, now_s: float) -> float | None:
        """The same for what was refused: never less than the server asked for, and none where it did not ask, or for too much.

        `now_s`: of a clock that never goes back.
        """
        if self._refused_since_s is None:
            self._refused_since_s = now_s
        if retry_after_s is None or retry_after_s > self._retries.longest_retry_after_s:
            return None
        patient = self._retries.times > 0 and now_s - self._refused_since_s < self._retries.refused_for_s
        pause_s = self._next_pause_s() if patient else self.pause_s()
        return None if pause_s is None else retry_after_s + pause_s

    def _next_pause_s(self) -> float:
        pause_s = self._retries.pause_s(self._tried, self._dice())
        self._tried += 1
        return pause_s


def retry_after_s(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds (RFC 9110 §10.2.3); a date counts from the answer's own `Date`. None: absent, or neither."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:12])
    try:
        there = parsedate_to_datetime(value) - parsedate_to_datetime(response.headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, there.total_seconds())
