"""The whole system under faults in every lane at once: for a few seconds on each kind of Redis; by hand for an hour (README.md)."""

import pytest

from tapedeck_testing.bucket_servers import binary, missing
from tapedeck_testing.faults.chaos.options import ChaosOptions
from tapedeck_testing.faults.chaos.run import chaos
from tapedeck_testing.faults.report import Options

pytestmark = pytest.mark.timeout(480)

OFTEN = (0.25, 0.45)
"""Seconds between two faults."""
SOCKETS = 16
NUMBERED = 14
"""Of them: one sends PCM and one is plain."""
EVERYWHERE = (
    "pusher killed",
    "listen killed",
    "redis killed",
    "redis loses replies",
    "lines cut",
    "storage-api killed",
)


def short(seed, *kinds, **options):
    soak = Options(seconds=5, sockets=SOCKETS, seed=seed, batch_seconds=3, processes=1, every_s=OFTEN)
    return ChaosOptions(soak, pushers=2, readers=1, only=(*EVERYWHERE, *kinds), **options)


def check(outcome):
    assert len(outcome.accounts) == outcome.options.soak.sockets
    assert not outcome.failed, outcome.table()
    assert set(outcome.planned) == set(outcome.options.only)
    # What a reader got while everything was struck at is left to chance; at rest it must get the end of every recording.
    assert outcome.reads.at_rest == NUMBERED, outcome.reads


async def test_one_redis_and_a_bucket_behind_a_line_of_ours(tmp_path):
    if binary("fake-gcs-server") is None:
        missing("no fake-gcs-server on PATH or in .tools (make tools)")
    kinds = ("bucket 503", "bucket loses replies", "pusher stopped beyond its lease", "finalize storm")
    check(await chaos(short(1, *kinds), tmp_path, print))


async def test_a_master_that_sentinels_replace_and_a_disk_that_fills(tmp_path):
    kinds = ("master killed until failover", "disk full", "pusher cut off from redis")
    check(await chaos(short(2, *kinds, topology="sentinel", store="file"), tmp_path, print))


async def test_three_masters_whose_slots_move(tmp_path):
    check(
        await chaos(short(3, "slots moved", "disk full", topology="cluster", store="file"), tmp_path, print)
    )
