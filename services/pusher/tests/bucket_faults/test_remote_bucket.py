"""Whatever a bucket over the network does is waited for: refusals, lost replies, silence, and its end."""

import asyncio
import itertools
import time
from collections import deque
from urllib.parse import urlsplit

import pytest

from audiostore import open_store
from pusher.circuit import Phase
from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.faulty_line import Answer

WITHIN_S = 60.0
CONVERSATIONS = 12
TRIES = 12
"""Requests of one operation, with that patience, at most."""

SPOILED = {
    "429": ("", Answer(429), Phase.OPEN),
    "5xx": ("", None, Phase.OPEN),
    "the reply of each put is lost": ("POST", "lose", Phase.OPEN),
    "every reply is lost": ("", "lose", Phase.OPEN),
    "replies break off": ("", "cut", Phase.OPEN),
    "no reply comes": ("", "stall", Phase.OPEN),
    "connections are closed": ("", "refuse", Phase.OPEN),
    "403": ("", Answer(403), Phase.PAUSED),
    "the right to write is missing": ("POST", Answer(403), Phase.PAUSED),
    "there is no such bucket": ("", Answer(404), Phase.PAUSED),
}


@pytest.mark.parametrize("what", SPOILED)
async def test_whatever_the_bucket_does_it_is_waited_for(
    *,
    what,
    spoiled,
    straight,
    line,
    serving,
    record,
    is_in,
    drained,
    packets_of,
    waiting,
    probe_every_ms,
    metrics,
    eventually,
    monkeypatch,
):
    text, fault, phase = SPOILED[what]
    devices = await record(CONVERSATIONS)
    total = await waiting(devices)
    if fault == "refuse":
        line.upstream = urlsplit("http://127.0.0.1:1")
    elif fault is None:
        line.faults = deque([(text, Answer(status)) for status in (500, 502, 503, 504)] * 25_000)
    else:
        line.faults = deque([(text, fault)] * 100_000)
    async with serving(spoiled) as health:
        await is_in(phase.value)
        # It goes on trying, one after another; everything stays.
        begun, before = asyncio.get_running_loop().time(), len(line.requests)

        async def tried_again():
            return len(line.requests) >= before + 3

        await eventually(tried_again, "somebody tries again", WITHIN_S)
        passed_s = asyncio.get_running_loop().time() - begun
        # However many wait: those under way when it opened, then one after another, each with its own repeats.
        assert len(line.requests) - before <= (6 + (passed_s + 1) * 1_000 / (0.7 * probe_every_ms)) * TRIES
        assert await waiting(devices) == total

        async def told():
            check = health.checks["store"]
            return (
                check.state == ("failed" if phase is Phase.PAUSED else "warning")
                and "chunks/alice" not in check.detail
            )

        await eventually(told, "people hear of it", WITHIN_S)
        line.faults.clear()
        line.release.set()
        line.upstream = urlsplit(straight_url(straight))
        await is_in("closed")
        await drained(devices, "everything is stored")
    for device in devices:
        assert await packets_of(straight, device.conversation) == device.sent
    assert metrics.stored_seconds._value.get() == pytest.approx(total / 48_000)


def straight_url(store):
    return store._client.api_endpoint


async def test_a_bucket_that_answers_late_is_not_away(
    *, spoiled, straight, line, serving, record, drained, packets_of, metrics, monkeypatch
):
    monkeypatch.setattr("audiostore.gcs_store.TIMEOUT", (5.0, 5.0))

    def late(target):
        time.sleep(0.2)
        return target

    line.rewrite = late
    devices = await record(CONVERSATIONS)
    async with serving(spoiled):
        await drained(devices, "everything is stored")
    for device in devices:
        assert await packets_of(straight, device.conversation) == device.sent
    assert metrics._circuit["first", "closed"]._value.get() == 1
    assert metrics.puts["failed"]._value.get() == 0


async def test_answers_that_name_other_checksums_are_not_believed(
    *, spoiled, straight, line, serving, record, drained, packets_of, metrics
):
    line.faults = deque([("POST", "crc")] * 10_000)
    devices = await record(CONVERSATIONS)
    async with serving(spoiled):
        await drained(devices, "everything is stored")
    for device in devices:
        assert await packets_of(straight, device.conversation) == device.sent
    assert line.counted("DELETE") == 0
    assert metrics._circuit["first", "closed"]._value.get() == 1


async def test_single_faults_of_every_kind_are_no_outage(
    *, spoiled, straight, line, serving, record, drained, packets_of, metrics
):
    kinds = itertools.cycle([Answer(429), "lose", Answer(503), "cut", Answer(500)])
    faults = [(text, kind) for text, kind in zip(["POST", "GET"] * 10, kinds, strict=False)]
    line.faults = deque(faults)
    devices = await record(CONVERSATIONS)
    async with serving(spoiled):
        await drained(devices, "everything is stored")
    assert len(line.faults) < len(faults)
    for device in devices:
        assert await packets_of(straight, device.conversation) == device.sent


async def test_a_bucket_that_is_killed_comes_back(
    *, tmp_path, serving, record, is_in, drained, packets_of, waiting, hasty, monkeypatch
):
    server = GcsServer.started(tmp_path / "gcs", lasting=True)
    try:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        store = open_store(f"gs://{server.make_bucket()}", hasty)
        first = await record(3, "before")
        async with serving(store):
            await drained(first, "the first are stored")
            server.kill()
            rest = await record(CONVERSATIONS, "meanwhile")
            total = await waiting(rest)
            await is_in("open")
            assert await waiting(rest) == total
            server.start()
            await is_in("closed")
            await drained(rest, "everything is stored")
        for device in [*first, *rest]:
            assert await packets_of(store, device.conversation) == device.sent
        await store.close()
    finally:
        server.stop()


async def test_the_second_bucket_takes_what_the_first_does_not_and_gives_it_back(
    *,
    spoiled,
    straight,
    line,
    serving,
    record,
    is_in,
    drained,
    packets_of,
    folder,
    eventually,
    monkeypatch,
    metrics,
):
    monkeypatch.setattr("pusher.buckets.AWAY_MS", 1_000)
    monkeypatch.setattr("pusher.buckets.SPREAD_MS", 100)
    monkeypatch.setattr("pusher.mover.TICK_S", 0.1)
    monkeypatch.setattr("pusher.mover.AGAIN_S", 0.5)
    before = await record(3, "before")
    async with serving(spoiled, folder):
        await drained(before, "the first are stored")
        line.upstream = urlsplit("http://127.0.0.1:1")
        meanwhile = await record(CONVERSATIONS, "meanwhile")
        await drained(meanwhile, "the others are stored, in the second bucket")
        for device in meanwhile:
            assert await packets_of(folder, device.conversation) == device.sent
        assert metrics._circuit["first", "open"]._value.get() == 1
        # Nothing more is recorded: the mover itself sees that the first is back.
        line.upstream = urlsplit(straight_url(straight))

        async def home():
            moved = sum(metrics.moved_home[outcome]._value.get() for outcome in ("moved", "found"))
            return moved == CONVERSATIONS and not [info async for info in folder.list("chunks/")]

        await eventually(home, "everything is home", WITHIN_S)
        await is_in("closed")
    for device in [*before, *meanwhile]:
        assert await packets_of(straight, device.conversation) == device.sent
    assert metrics.fallback_batches._value.get() == CONVERSATIONS
