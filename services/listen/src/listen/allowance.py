"""How a process holds its users to their settings and their daily limit, and what a handshake is told about them.

Pure but for `admit_user`, which asks Redis. What an open socket does about it is `account`'s.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Literal
from zlib import crc32

from audiobus import Bus, UserRequest, UserState, utc_day
from audiobus.errors import BusContractError, BusUnavailableError
from audiobus.usage import DAY_MS
from listen.comeback import REDIS_AWAY_S, retry_after_s
from listen.errors import RefusedError
from listen.messages import AWAY

log = logging.getLogger(__name__)

Policy = Literal["warn", "reject"]

LOOK_EVERY_MS: Final = 55_000
"""A little less than the minute within which settings are followed."""
NEAR_PERCENT: Final = 90
MORNING_MS: Final = 60_000
"""Over so much of the next day those come back who passed their limit."""
REDIS_S: Final = 3.0
"""How long a handshake waits for Redis."""
STORING_OFF: Final = "storing is off for this user"
UNREADABLE: Final = "the user's settings cannot be read now"
OVER_LIMIT: Final = "the daily limit is used up: it begins anew at midnight UTC"


@dataclass(frozen=True, slots=True)
class Allowance:
    """The rules of a process."""

    default_limit_ms: int = 0
    """Of audio a day, for users who have no limit of their own; 0 for none."""
    policy: Policy = "warn"
    """What becomes of who is over it: they are told, or refused."""
    look_every_ms: int = LOOK_EVERY_MS
    """How often a socket looks at its user, and writes what was used."""

    def exceeded(self, user: UserState) -> bool:
        """Whether the user has used the day's limit up."""
        return 0 < user.limit_ms <= user.used_ms

    def near(self, user: UserState) -> bool:
        """Whether the user has used nine tenths of it."""
        return 0 < NEAR_PERCENT * user.limit_ms <= 100 * user.used_ms

    def gate(self, user: UserState, who: str, now_ms: int) -> None:
        """Lets a handshake go on.

        Raises:
            RefusedError: 403, the user's audio is not stored; 429, the limit is passed and the policy is to refuse.
        """
        if not user.stores_audio:
            raise RefusedError(403, "storing_off", STORING_OFF)
        if self.policy == "reject" and self.exceeded(user):
            seconds = -(-retry_after_ms(now_ms, who) // 1_000)
            raise RefusedError(429, "limit", OVER_LIMIT, retry_after_s=seconds)


def retry_after_ms(now_ms: int, who: str) -> int:
    """Until the next UTC day has begun, and a little more: not everybody comes back at midnight."""
    return DAY_MS - now_ms % DAY_MS + crc32(who.encode()) % MORNING_MS


async def admit_user(bus: Bus, allowance: Allowance, uid: str, now_ms: int) -> UserState:
    """What is set for the user of a handshake, and what they have used today: for `Terms.user`.

    Raises:
        RefusedError: 403 or 429, see `Allowance.gate`; 503, Redis is away, or something else
            stands where the user's settings should.
    """
    request = UserRequest(uid, utc_day(now_ms), allowance.default_limit_ms)
    try:
        async with asyncio.timeout(REDIS_S):
            user = await bus.look_up_user(request)
    except (BusUnavailableError, TimeoutError) as error:
        raise RefusedError(503, "unavailable", AWAY, retry_after_s=retry_after_s(REDIS_AWAY_S)) from error
    except BusContractError as error:
        # They might say that nothing of this user is stored: without them nothing may be.
        log.exception("a user's settings or use cannot be read")
        again_s = retry_after_s(REDIS_AWAY_S)
        raise RefusedError(503, "unavailable", UNREADABLE, retry_after_s=again_s) from error
    allowance.gate(user, uid, now_ms)
    return user
