"""How many fresh sessions a user may begin: each takes some 5 KB of Redis until it is drained, though nothing is ever sent in it.

A session that is resumed costs nothing and is not counted. Bounded in time and memory. Must not look at a clock: `now` is given.
"""

from typing import Final

from listen.comeback import SESSIONS_S, retry_after_s
from listen.errors import RefusedError
from listen.leaky_buckets import LeakyBuckets

SESSIONS_MOST: Final = 120
"""So many a user may begin at once: twenty devices that come again every few seconds for a while do not meet it."""
WITHIN_S: Final = 120.0
"""And so many again within this time, evenly."""
USERS_LIMIT: Final = 10_000
"""Remembered; the one who began one least lately is forgotten first."""


class SessionRate:
    """What users of one process have begun lately."""

    def __init__(self, most: int = SESSIONS_MOST) -> None:
        """`most` at once, and again within `WITHIN_S`."""
        self._buckets = LeakyBuckets(most, WITHIN_S, USERS_LIMIT)

    def __len__(self) -> int:
        return len(self._buckets)

    def check(self, uid: str, now_s: float) -> None:
        """Lets this user go on, who may be about to begin one.

        Raises:
            RefusedError: 429, there were too many.
        """
        if self._buckets.full(uid, now_s):
            raise RefusedError(
                429,
                "limit",
                "too many sessions were begun",
                retry_after_s=retry_after_s(SESSIONS_S),
                reason="sessions_of_user",
            )

    def began(self, uid: str, now_s: float) -> None:
        """One more has begun."""
        self._buckets.add(uid, now_s)
