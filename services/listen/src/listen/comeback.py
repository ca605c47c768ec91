"""When clients shall come again: each is told a moment of its own, so that they never all come at once.

Owns the spans. What is told is drawn from what no two sockets share, so that the session needs no dice.
"""

import random
from typing import Final
from zlib import crc32

FULL_S: Final = (3, 10)
"""There is no room now."""
REDIS_AWAY_S: Final = (5, 15)
"""Half a minute's worth of clients comes back over ten seconds."""
REDIS_FULL_S: Final = (15, 45)
"""Draining takes its time."""
GUESSING_S: Final = (3, 10)
"""Too many tokens from their address were not valid."""
TICKETS_S: Final = (3, 10)
"""A user has asked for too many tickets."""
SESSIONS_S: Final = (3, 10)
"""A user has begun too many sessions."""
ELSEWHERE_S: Final = (1, 3)
"""This process is about to end: another one takes them."""
SOON_S: Final = (1, 4)
"""Nothing is amiss: only this socket cannot go on."""
GOING_AWAY_MS: Final = (500, 5_000)


def retry_after_s(span_s: tuple[int, int]) -> int:
    """For a handshake that is refused: whole seconds, as `Retry-After` has them (RFC 9110 section 10.2.3)."""
    return random.randint(*span_s)  # noqa: S311 - jitter, no secret


def retry_after_ms(span_s: tuple[int, int], owner: str) -> int:
    """For a socket that is closed: ms, the same whenever it is asked. `owner` is a name that no other socket has."""
    first_ms, last_ms = span_s[0] * 1_000, span_s[1] * 1_000
    return first_ms + crc32(owner.encode()) % (last_ms - first_ms)


def reconnect_after_ms() -> int:
    """For a socket of a process that is about to end."""
    return random.randint(*GOING_AWAY_MS)  # noqa: S311 - jitter, no secret
