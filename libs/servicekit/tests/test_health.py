import asyncio

import pytest

from servicekit.health import Check, Health


def test_unready_until_every_check_was_made():
    health = Health("redis", "bucket")
    assert not health.ready
    health.ok("redis")
    assert not health.ready
    health.warn("bucket", "slow")
    assert health.ready
    health.fail("redis", "gone")
    assert not health.ready


def test_draining_is_for_good():
    health = Health()
    assert health.ready
    health.drain()
    health.ok("redis")
    assert not health.ready
    assert health.checks["shutdown"] == Check("failed", "draining")


def test_text():
    health = Health("redis", "memory", "bucket")
    health.ok("redis")
    health.warn("memory", "maxmemory-policy is allkeys-lru: set noeviction")
    assert health.text() == (
        "[+]redis ok\n"
        "[!]memory warning: maxmemory-policy is allkeys-lru: set noeviction\n"
        "[-]bucket failed: not checked yet\n"
        "[+]shutdown ok\n"
        "not ready\n"
    )


def test_a_change_is_logged_once(caplog):
    caplog.set_level("INFO")
    health = Health("redis")
    health.ok("redis")
    for _ in range(3):
        health.fail("redis", "gone")
    health.ok("redis")
    assert [record.getMessage() for record in caplog.records] == [
        "check redis: failed",
        "check redis: ok again",
    ]


async def test_watch(eventually):
    health = Health("redis")
    answers = {"error": None}

    async def probe():
        if answers["error"] == "hang":
            await asyncio.Event().wait()
        if answers["error"]:
            raise ConnectionError(answers["error"])

    watching = asyncio.create_task(health.watch("redis", probe, every_s=0.01, timeout_s=0.05))
    await eventually(lambda: health.ready)
    answers["error"] = "refused"
    await eventually(lambda: health.checks["redis"].detail == "ConnectionError: refused")
    answers["error"] = "hang"
    await eventually(lambda: health.checks["redis"].detail == "no answer within 0.05 s")
    answers["error"] = None
    await eventually(lambda: health.ready)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


class Probe:
    """Answers as it is told, one word a try; the last goes on."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    async def __call__(self):
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer != "ok":
            raise ConnectionError(answer)


async def _watched(health, probe, eventually, *, tries, **options):
    watching = asyncio.create_task(health.watch("store", probe, every_s=0.01, **options))
    await eventually(lambda: probe.asked >= tries)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


async def test_one_hiccup_is_none_and_two_in_a_row_are(caplog, eventually):
    caplog.set_level("INFO")
    health = Health("store")
    await _watched(health, Probe("ok", "hiccup", "ok", "hiccup", "ok"), eventually, tries=6)
    assert not caplog.records
    await _watched(health, Probe("ok", "gone", "gone", "ok"), eventually, tries=5)
    assert [record.getMessage() for record in caplog.records] == [
        "check store: failed",
        "check store: ok again",
    ]


async def test_an_outage_of_days_does_not_end_the_watch(monkeypatch, eventually):
    """With it the process would end: its tasks are one group."""
    nap = asyncio.sleep
    monkeypatch.setattr("servicekit.health.asyncio.sleep", lambda _: nap(0))
    health = Health("store")
    await _watched(health, Probe("ok", "gone"), eventually, tries=3_000)
    assert health.checks["store"].state == "failed"


async def test_what_never_worked_fails_at_once(eventually):
    health = Health("store")
    await _watched(health, Probe("misspelt"), eventually, tries=2, needed="to begin")
    assert health.checks["store"] == Check("failed", "ConnectionError: misspelt")


async def test_what_is_needed_to_begin_warns_once_it_has_worked(eventually):
    health = Health("store")
    await _watched(health, Probe("ok", "gone"), eventually, tries=4, needed="to begin")
    assert health.checks["store"] == Check("warning", "ConnectionError: gone")
    assert health.ready
    await _watched(health, Probe("ok"), eventually, tries=2, needed="to begin")
    assert health.checks["store"].state == "warning", "this watch did not report it"


async def test_it_clears_its_own_warning_and_no_other(eventually):
    health = Health("store")
    await _watched(health, Probe("ok", "gone", "gone", "ok"), eventually, tries=5, needed="to begin")
    assert health.checks["store"] == Check("ok")
    health.warn("store", "told by somebody else")
    await _watched(health, Probe("ok"), eventually, tries=2, needed="to begin")
    assert health.checks["store"].detail == "told by somebody else"


async def test_advise(eventually):
    health = Health()
    answers = {"complaints": ["appendonly is no"], "away": False}

    async def complaints():
        if answers["away"]:
            raise ConnectionError
        return answers["complaints"]

    advising = asyncio.create_task(
        health.advise("redis settings", complaints, away=ConnectionError, every_s=0.01)
    )
    await eventually(lambda: health.checks.get("redis settings") == Check("warning", "appendonly is no"))
    assert health.ready
    answers["away"] = True
    answers["complaints"] = []
    await asyncio.sleep(0.05)  # asked a few times more: the warning stays until somebody answers otherwise
    assert health.checks["redis settings"].state == "warning"
    answers["away"] = False
    await eventually(lambda: health.checks["redis settings"] == Check("ok"))
    advising.cancel()
    with pytest.raises(asyncio.CancelledError):
        await advising
