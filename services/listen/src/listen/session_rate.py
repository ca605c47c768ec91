"""How many fresh sessions a user may begin: each takes some 5 KB of Redis until it is drained, though nothing is ever sent in it.

A session that is resumed costs nothing and is not counted. Who names a session that cannot be resumed is given a fresh one; those
are counted by themselves, up to more: after a loss of Redis everybody comes so, and who always names a dead one locks out only
those who resume. Bounded in time and memory. Must not look at a clock: `now` is given.
"""

from typing import Final

from listen.comeback import SESSIONS_S, retry_after_s
from listen.errors import RefusedError
from listen.leaky_buckets import LeakyBuckets

SESSIONS_MOST: Final = 120
"""So many a user may begin at once: twenty devices that come again every few seconds for a while do not meet it."""
RESUMES_TIMES: Final = 4
"""So many times as many, where a session was named that could not be resumed."""
WITHIN_S: Final = 120.0
"""And so many again within this time, evenly."""
USERS_LIMIT: Final = 10_000
"""Remembered; the one who began one least lately is forgotten first."""


class SessionRate:
    """What users of one process have begun lately."""

    def __init__(self, most: int = SESSIONS_MOST) -> None:
        """`most` at once, and again within `WITHIN_S`."""
        self._fresh = LeakyBuckets(most, WITHIN_S, USERS_LIMIT)
        self._resuming = LeakyBuckets(RESUMES_TIMES * most, WITHIN_S, USERS_LIMIT)

    def __len__(self) -> int:
        return len(self._fresh) + len(self._resuming)

    def check(self, uid: str, resume: int | None, now_s: float) -> None:
        """Lets this user go on, who may be about to begin one; `resume` is the session that is to be resumed.

        Raises:
            RefusedError: 429, there were too many.
        """
        if self._buckets(resume).full(uid, now_s):
            raise RefusedError(
                429,
                "limit",
                "too many sessions were begun",
                retry_after_s=retry_after_s(SESSIONS_S),
                reason="sessions_of_user",
            )

    def take(self, uid: str, resume: int | None, now_s: float) -> None:
        """One more is about to begin: it counts from now on, so that many at the same moment are no way around.

        Raises:
            RefusedError: as `check`.
        """
        self.check(uid, resume, now_s)
        self._buckets(resume).add(uid, now_s)

    def give_back(self, uid: str, resume: int | None) -> None:
        """None has begun."""
        self._buckets(resume).take_back(uid)

    def _buckets(self, resume: int | None) -> LeakyBuckets:
        return self._fresh if resume is None else self._resuming
