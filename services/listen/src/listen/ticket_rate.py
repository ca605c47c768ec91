"""How many tickets a user may ask for: each is a key in Redis for 30 s, and a signature that was checked.

Bounded in time and memory. Must not look at a clock: `now` is given.
"""

from typing import Final

from listen.comeback import TICKETS_S, retry_after_s
from listen.errors import RefusedError
from listen.leaky_buckets import LeakyBuckets

TICKETS_MOST: Final = 60
"""So many a user may have at once: a page needs one for each socket."""
WITHIN_S: Final = 60.0
"""And so many again within this time, evenly."""
USERS_LIMIT: Final = 10_000
"""Remembered; the one who asked least lately is forgotten first."""


class TicketRate:
    """What users have asked for lately."""

    def __init__(self) -> None:
        self._buckets = LeakyBuckets(TICKETS_MOST, WITHIN_S, USERS_LIMIT)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, uid: str, now_s: float) -> None:
        """One more for this user.

        Raises:
            RefusedError: 429, that is too many.
        """
        if self._buckets.full(uid, now_s):
            raise RefusedError(
                429,
                "limit",
                "too many tickets were asked for",
                retry_after_s=retry_after_s(TICKETS_S),
                reason="tickets_of_user",
            )
        self._buckets.add(uid, now_s)
