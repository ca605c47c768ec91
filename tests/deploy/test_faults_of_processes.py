"""Faults of the processes, and of who connects to them, each caused for real: see test_faults.py. Here a second bucket stands beside the first."""

import asyncio
import os

import pytest

from tapedeck_testing import set_clock
from tapedeck_testing.faults.relay import Relay
from tapedeck_testing.free_ports import free_port


@pytest.fixture(scope="module")
def more_settings(tmp_path_factory):
    return {"TAPEDECK_FALLBACK_STORE_URL": f"file://{tmp_path_factory.mktemp('second')}"}


@pytest.mark.long
async def test_tokens_that_no_key_signed(trial):
    trying = asyncio.create_task(trial.client("strange", token="no token of ours").run())
    await trial.fires("TapedeckClientsRefused")
    trying.cancel()


@pytest.mark.long
async def test_a_process_stands_still(trial):
    with trial.stack.frozen("listen"):
        await asyncio.sleep(2)
    await trial.fires("TapedeckEventLoopLag")


@pytest.mark.long
async def test_a_process_is_started_again_and_again(trial):
    for _ in range(4):
        started = trial.started("pusher")
        trial.stack.kill("pusher")
        await asyncio.to_thread(
            trial.prometheus.await_nothing,
            lambda before=started: () if trial.started("pusher") - before else ["pusher"],
            30,
        )
    await trial.fires("TapedeckRestarting")


@pytest.mark.long
async def test_a_component_is_gone(trial):
    with trial.stack.frozen("pusher"):
        await trial.fires("TapedeckComponentGone")
    await trial.calm("TapedeckComponentGone")


@pytest.mark.long
async def test_one_of_several_never_comes_up(trial):
    with trial.beside("pusher", TAPEDECK_BATCH_SECONDS="a minute") as process:
        await trial.fires("TapedeckProcessDown")
        assert process.wait(60) == 2
    await trial.calm("TapedeckProcessDown")


@pytest.mark.long
async def test_a_clock_stands_apart(trial, tmp_path):
    ahead = tmp_path / "clock"
    ahead.write_bytes((60 * 10**9).to_bytes(8, "little", signed=True))
    environ = {"TAPEDECK_TEST_CLOCK": str(ahead), "PYTHONPATH": os.pathsep.join(set_clock.__path__)}
    with trial.beside("pusher", **environ):
        await trial.fires("TapedeckClocksDiffer")
    await trial.calm("TapedeckClocksDiffer")


@pytest.mark.long
async def test_the_issuer_does_not_answer(trial):
    """From the start: what a set that was fetched once grows old by takes an hour."""
    nobody = f"http://127.0.0.1:{free_port()}/keys"
    with trial.beside("listen", TAPEDECK_AUTH="jwt", TAPEDECK_JWT_JWKS_URL=nobody):
        await trial.fires("TapedeckKeySetStale")
    await trial.calm("TapedeckKeySetStale")


@pytest.mark.long
async def test_the_way_in_is_broken(trial):
    """A balancer that takes no connection any more. Four record through it, and try again and again."""
    host, _, port = trial.stack.facts["listen"].removeprefix("ws://").rpartition(":")
    way = await Relay(host, int(port)).start()
    address = f"ws://127.0.0.1:{way.port}"
    recordings = [
        asyncio.create_task(trial.client(f"way-{number}", 300, pace_s=0.1, address=address).run())
        for number in range(4)
    ]
    many = "min_over_time(sum(tapedeck_connections)[15s:1s]) >= 4"
    await asyncio.to_thread(
        trial.prometheus.await_nothing,
        lambda: () if trial.prometheus.values(many, last_s=0) else ["connections"],
    )
    await way.stop()
    await trial.fires("TapedeckNobodyConnects")
    for recording in recordings:
        recording.cancel()
    await asyncio.gather(*recordings, return_exceptions=True)


@pytest.mark.long
async def test_the_second_bucket_is_in_use(trial):
    trial.gcs.kill()
    try:
        await trial.client("second", 3).run()
        await trial.fires("TapedeckSecondBucketInUse")
    finally:
        trial.gcs.start()
    await trial.calm("TapedeckSecondBucketInUse")
