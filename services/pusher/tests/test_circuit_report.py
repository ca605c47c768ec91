"""What people hear of a bucket: `/readyz`, and a word in the log once in a while."""

import asyncio

import pytest

from pusher import circuit_report
from pusher.circuit import OPENS_AFTER
from servicekit.health import Health
from servicekit.stop import Stop


@pytest.fixture
def buckets(new_buckets, memory_store):
    return new_buckets(memory_store, memory_store)


@pytest.fixture
async def reported(buckets, monkeypatch):
    monkeypatch.setattr(circuit_report, "TICK_S", 0.01)
    monkeypatch.setattr(circuit_report, "AGAIN_S", 0.05)
    health, stop = Health("redis", "store"), Stop(5.0)
    health.ok("redis")
    running = asyncio.create_task(circuit_report.report(health, buckets, stop))
    yield health
    stop.set()
    await running


def fail(bucket, *, operators):
    for _ in range(OPENS_AFTER):
        bucket.circuit.failed(bucket.now_ms(), bucket.now_ms(), "the reason", operators=operators)


def says(health, name, state, text=""):
    async def check() -> bool:
        found = health.checks.get(name)
        return found is not None and found.state == state and text in found.detail

    return check


async def test_a_bucket_that_is_away_is_a_warning_one_that_refuses_us_is_a_failure(
    reported, buckets, eventually, clock
):
    await eventually(says(reported, "store", "ok"), "all is well")
    assert reported.ready
    fail(buckets.first, operators=False)
    await eventually(says(reported, "store", "warning", "the reason"), "it is away")
    assert reported.ready
    fail(buckets.first, operators=True)
    await eventually(says(reported, "store", "failed", "an operator has to act: the reason"), "it refuses us")
    assert not reported.ready
    buckets.first.circuit.worked(clock())
    await eventually(says(reported, "store", "ok"), "all is well again")


async def test_the_second_bucket_has_a_line_of_its_own(reported, buckets, eventually):
    fail(buckets.second, operators=False)
    await eventually(says(reported, "fallback store", "warning"), "it is away")
    assert reported.checks["store"].state == "ok"


async def test_an_operator_is_reminded(reported, buckets, eventually, caplog):
    fail(buckets.first, operators=True)

    def loud() -> list[str]:
        return [record.error for record in caplog.records if record.levelname == "CRITICAL"]

    async def reminded() -> bool:
        return len(loud()) >= 2

    await eventually(reminded, "it is said again")
    assert set(loud()) == {"the reason"}


async def test_changes_are_logged(buckets, caplog, clock):
    caplog.set_level("INFO")
    for operators, level in ((False, "WARNING"), (True, "CRITICAL")):
        before = buckets.first.circuit.phase
        fail(buckets.first, operators=operators)
        circuit_report.tell_change(buckets.first, before)
        assert caplog.records[-1].levelname == level
    before = buckets.first.circuit.phase
    buckets.first.circuit.worked(clock())
    circuit_report.tell_change(buckets.first, before)
    assert caplog.records[-1].getMessage() == "the store is back"
