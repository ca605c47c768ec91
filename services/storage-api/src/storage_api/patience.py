"""How long the bucket is asked again before somebody is told that it is away.

Owns these times, and whether what runs is for an answer that has begun: whoever gets that cannot be told any more to come back later, so what it
still needs is waited for longer. Asks nobody.
"""

from contextvars import ContextVar
from typing import Final

from audiostore.attempts import Patience
from audiostore.errors import ChecksumError, StoreError

PATIENCE: Final = Patience(longest_pause_s=1.0, away_for_s=4.0)
"""Of each operation of a store behind a network: one that refuses is given up within five seconds, one that is merely slow is waited for."""
READ_TRIES: Final = 3
"""Reads are safe to repeat: so often where the bucket says that it may work later."""
READ_AGAIN_S: Final = 1.0
"""Not after a read that took so long to fail: the store has tried again by itself."""
BEGUN_FOR_S: Final = 30.0
"""But for so long for an answer that has begun: it goes on once the bucket is back."""
LONGEST_PAUSE_S: Final = 2.0
"""Between two of these."""

_begun: ContextVar[bool] = ContextVar("begun", default=False)


def begin_answer() -> None:
    """From now on this task, and each that it begins, works for an answer of which the headers are sent."""
    _begun.set(True)


def has_begun() -> bool:
    """Whether what runs is for such an answer."""
    return _begun.get()


def pause_s(error: StoreError, attempt: int, for_s: float) -> float | None:
    """How long to wait after so many tries of a read, the last of which failed so after `for_s` seconds in all; None where no other follows."""
    if not error.retryable:
        return None
    if has_begun() and not isinstance(error, ChecksumError):
        again = for_s < BEGUN_FOR_S
    else:
        again = attempt < READ_TRIES and (for_s < READ_AGAIN_S or isinstance(error, ChecksumError))
    return min(LONGEST_PAUSE_S, 0.05 * 4**attempt) if again else None
