"""Clients that were accepted without a token, and whose first message is waited for: so many, and the oldest goes for the newest.

Nobody needs to prove anything to stand here, so they take no place of those that have something to show. Must not know what a token is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from listen.comeback import ELSEWHERE_S, FULL_S, retry_after_s
from listen.errors import RefusedError


class Stranger(Protocol):
    """One of them."""

    def send_away(self, error: RefusedError) -> None:
        """Its message is waited for no longer."""


class Strangers:
    """Those of one process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[Stranger, None] = {}
        """The oldest first."""
        self._leaving = False

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def wait(self, stranger: Stranger) -> Iterator[None]:
        """Holds a place while its message is waited for. Where all are taken, the one goes that has waited for longest.

        Raises:
            RefusedError: 503, this process is about to end.
        """
        if self._leaving:
            raise _ending()
        if len(self._waiting) >= self._limit:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.send_away(_crowded())
        self._waiting[stranger] = None
        try:
            yield
        finally:
            self._waiting.pop(stranger, None)

    def leave(self) -> None:
        """This process is about to end: all are told, and nobody waits here any more."""
        self._leaving = True
        waiting, self._waiting = self._waiting, {}
        for stranger in waiting:
            stranger.send_away(_ending())


def _crowded() -> RefusedError:
    return RefusedError(
        503,
        "unavailable",
        "too many clients are connecting at this moment",
        retry_after_s=retry_after_s(FULL_S),
        reason="handshakes",
    )


def _ending() -> RefusedError:
    return RefusedError(
        503,
        "unavailable",
        "this server is about to end",
        retry_after_s=retry_after_s(ELSEWHERE_S),
        reason="draining",
    )
