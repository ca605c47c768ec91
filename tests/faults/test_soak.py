"""Devices that stream while everything under them is paused, killed, slowed and cut: every acked byte is stored once.

Short enough for every run; `make soak` is the same with more sockets, for longer.
"""

import pytest

from tapedeck_testing.faults.report import Options
from tapedeck_testing.faults.soak import soak

pytestmark = pytest.mark.timeout(480)

OFTEN = (0.4, 1.2)
"""Seconds between two faults."""


def check(outcome):
    assert len(outcome.accounts) == outcome.options.sockets
    assert not outcome.failed, outcome.table()


async def test_every_acked_byte_is_stored_once(tmp_path):
    # This seed pauses Redis, kills a listen, cuts lines, kills Redis, restarts a listen and slows Redis down.
    options = Options(seconds=8, sockets=40, seed=15, frame_ms=20, batch_seconds=4, every_s=OFTEN)
    outcome = await soak(options, tmp_path, print)
    check(outcome)
    assert sum(account.seen.resumed for account in outcome.accounts) > 0


async def test_devices_that_keep_what_is_not_stored_make_good_what_redis_lost(tmp_path):
    # This seed kills listen, and Redis right after it.
    options = Options(
        seconds=6, sockets=15, seed=2, fsync="everysec", lose=True, batch_seconds=4, every_s=OFTEN
    )
    outcome = await soak(options, tmp_path, print)
    check(outcome)
    assert outcome.lost_log_bytes > 0
