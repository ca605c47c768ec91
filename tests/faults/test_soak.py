"""Devices that stream while everything under them is paused, killed, slowed and cut: every acked byte is stored once.

Short enough for every run; `make soak` is the same with more sockets, for longer.
"""

from tapedeck_testing.faults.report import Options
from tapedeck_testing.faults.soak import soak

SHORT = {"seconds": 9, "every_s": (0.4, 1.6), "batch_seconds": 4}


def check(outcome):
    assert len(outcome.accounts) == outcome.options.sockets
    assert not outcome.wrong, outcome.table()


async def test_every_acked_byte_is_stored_once(tmp_path):
    outcome = await soak(Options(sockets=40, seed=20_261_121, frame_ms=20, **SHORT), tmp_path, print)
    check(outcome)
    assert sum(account.seen.resumed for account in outcome.accounts) >= len(outcome.accounts)


async def test_a_redis_that_lost_what_it_confirmed_is_made_good_by_devices_that_keep_what_is_not_stored(
    tmp_path,
):
    outcome = await soak(Options(sockets=20, seed=8, fsync="everysec", lose=True, **SHORT), tmp_path, print)
    check(outcome)
    assert outcome.lost_log_bytes > 0
