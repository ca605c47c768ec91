"""The wall clock of this process, for what is told to people and to pushers. What several processes compare goes by Redis' (`audiobus.redis_clock`)."""

import time


def now_ms() -> int:
    """Unix ms."""
    return time.time_ns() // 1_000_000
