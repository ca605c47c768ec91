"""The wall clock: unix ms."""

import time

from storage_api.wall_clock import now_ms


def test_it_tells_unix_ms():
    before = time.time_ns()
    assert before // 1_000_000 <= now_ms() <= time.time_ns() // 1_000_000
