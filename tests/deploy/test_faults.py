"""Each fault of the runbook is caused for real, and its alert fires: a system, a bucket's server, and a Prometheus whose minutes are seconds.

What cannot be caused in seconds, or only by a defect of ours, `promtool` alone tries (deploy/monitoring/tests). The long ones, two minutes together, are chosen:

    TAPEDECK_TEST_FAULTS=1 .venv/bin/pytest tests/deploy/test_faults.py
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import httpx
import pytest
import redis

from tapedeck_testing.account import flush
from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.prometheus import Prometheus, hurried_rules, targets_of
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.queries import alerts
from tapedeck_testing.recordings import in_messages
from tapedeck_testing.stack import Stack

SECOND = bytes(32_000)
HURRIED = {"TAPEDECK_BATCH_SECONDS": "2", "TAPEDECK_IDLE_SECONDS": "2"}


class Trial:
    """A system that things happen to."""

    def __init__(self, stack: Stack, prometheus: Prometheus, gcs: GcsServer) -> None:
        self.stack = stack
        self.prometheus = prometheus
        self.gcs = gcs
        self.bucket = stack.facts["store"].removeprefix("gs://")
        self.redis = redis.Redis.from_url(stack.facts["redis"], socket_timeout=5)

    def client(self, cid: str, seconds: int = 1, *, uid: str = "alice", pace_s: float = 0) -> ProtocolClient:
        """Who records so many seconds, in messages of 100 ms."""
        messages = in_messages(SECOND * seconds, 3_200)
        address, token = self.stack.facts["listen"], self.stack.user_token(uid)
        return ProtocolClient(address, token, cid, messages, codec="pcm16", pace_s=pace_s)

    async def fires(self, *names: str, deadline_s: float = 45) -> None:
        """Until these fire."""
        assert set(names) <= alerts().keys()
        await asyncio.to_thread(
            self.prometheus.await_nothing, lambda: sorted(set(names) - self.prometheus.firing()), deadline_s
        )

    async def calm(self, *names: str, deadline_s: float = 45) -> None:
        """Until none of these does."""
        await asyncio.to_thread(
            self.prometheus.await_nothing, lambda: sorted(set(names) & self.prometheus.firing()), deadline_s
        )

    @contextmanager
    def frozen(self, service: str) -> Iterator[None]:
        """Its processes stand still meanwhile."""
        pids = self.stack.pids(service)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def started(self, job: str) -> set[float]:
        """When a process of it started, as Prometheus has seen it in the last second."""
        return set(self.prometheus.values(f'process_start_time_seconds{{job="{job}"}}', last_s=0))

    async def flush_on(self, cid: str) -> None:
        """Asks for it to be stored, again and again."""
        async with self.stack.http() as http:
            while True:
                await http.post(f"/v1/users/alice/conversations/{cid}:flush")
                await asyncio.sleep(0.2)

    async def get(self, path: str) -> int:
        """The status of a request."""
        async with self.stack.http() as http:
            return (await http.get(f"/v1/users/alice/conversations{path}")).status_code


@pytest.fixture(scope="module")
def trial(tmp_path_factory, program):
    binary = program("prometheus")
    folder = tmp_path_factory.mktemp("faults")
    gcs = GcsServer.started(folder / "gcs", lasting=True)
    stack = Stack(
        folder / "stack", "--store", f"gs://{gcs.make_bucket()}", environ={**HURRIED, **gcs.settings()}
    ).start()
    prometheus = Prometheus(binary, folder / "prometheus", targets_of(stack), hurried_rules())
    yield Trial(stack, prometheus, gcs)
    prometheus.stop()
    stack.stop()
    gcs.stop()


@pytest.mark.long
async def test_redis_away(trial):
    recording = asyncio.create_task(trial.client("frozen", 6, pace_s=0.1).run())
    await asyncio.sleep(1)
    with trial.frozen("redis"):
        refused = asyncio.create_task(trial.client("refused").run())
        asking = asyncio.create_task(trial.flush_on("frozen"))
        await trial.fires(
            "TapedeckRedisAway", "TapedeckNotReady", "TapedeckSessionsRefused", "TapedeckApiErrors"
        )
        asking.cancel()
    await asyncio.gather(recording, refused)
    await trial.fires("TapedeckAcksSlow", deadline_s=10)
    await trial.calm("TapedeckRedisAway", "TapedeckNotReady")


@pytest.mark.long
async def test_redis_restarted(trial):
    trial.stack.kill("redis")
    await trial.fires("TapedeckRedisFailedOver")


@pytest.mark.long
async def test_bucket_away(trial):
    client = trial.client("waiting", 3)
    trial.gcs.kill()
    try:
        await client.run()
        async with trial.stack.http() as http:
            assert (await http.delete("/v1/users/bob/audio")).status_code == 202
        await trial.fires(
            "TapedeckStoringBehind",
            "TapedeckAudioNotStored",
            "TapedeckBucketAway",
            "TapedeckConversationsFailing",
            "TapedeckOperationsStuck",
        )
    finally:
        trial.gcs.start()
    await trial.calm(
        "TapedeckAudioNotStored",
        "TapedeckStoringBehind",
        "TapedeckBucketAway",
        "TapedeckConversationsFailing",
    )


@pytest.mark.long
async def test_lists_are_slow(trial):
    await trial.client("listed").run()
    for _ in range(3):
        with trial.frozen("redis"):
            asked = asyncio.create_task(trial.get("/listed/chunks"))
            await asyncio.sleep(2)
        await asked
    await trial.fires("TapedeckApiSlow", deadline_s=15)


async def test_redis_full(trial):
    before = trial.redis.config_get("maxmemory")["maxmemory"]
    used = trial.redis.info("memory")["used_memory"]
    trial.redis.config_set("maxmemory", int(used / 0.95))
    await trial.fires("TapedeckRedisFull", "TapedeckRedisFilling", "TapedeckWarnings")
    trial.redis.config_set("maxmemory", before)
    await trial.calm("TapedeckRedisFull", "TapedeckRedisFilling", "TapedeckWarnings")


async def test_an_entry_that_no_build_reads(trial):
    await trial.client("odd").run()
    key = "td:audio:{alice/odd}"
    recording = asyncio.create_task(trial.client("odd", 4, pace_s=0.1).run())
    async with asyncio.timeout(20):
        while not (rows := trial.redis.xrevrange(key, count=1)) or b"c" not in rows[0][1]:
            await asyncio.sleep(0.05)
    epoch, _, offset = rows[0][0].decode().partition("-")
    trial.redis.xadd(key, {"c": b"\x9d\x7f"}, id=f"{epoch}-{int(offset) + 1}")
    await trial.fires("TapedeckDeadLetters")
    recording.cancel()


@pytest.mark.long
async def test_books_that_were_changed_by_hand(trial):
    await trial.client("changed", 2).run()
    trial.redis.hincrby("td:conv:{alice/changed}", "out", 96_000)
    await trial.fires("TapedeckBooksDoNotClose")
    trial.redis.hincrby("td:conv:{alice/changed}", "out", -96_000)
    await trial.calm("TapedeckBooksDoNotClose")


@pytest.mark.long
async def test_redis_forgets_what_it_confirmed(trial):
    """More than the last 8 s, which a process holds and writes again."""
    client = trial.client("forgotten", 40, pace_s=0.02)
    with trial.frozen("pusher"):
        recording = asyncio.create_task(client.run())
        async with asyncio.timeout(30):
            while client.acked < 20 * len(SECOND):
                await asyncio.sleep(0.05)
        trial.redis.delete("td:conv:{alice/forgotten}", "td:audio:{alice/forgotten}")
        await trial.fires("TapedeckAudioLost")
        recording.cancel()


@pytest.mark.long
async def test_a_key_of_another_type(trial):
    recording = asyncio.create_task(trial.client("wrong", 8, pace_s=0.1).run())
    await asyncio.sleep(2)
    trial.redis.pipeline().delete("td:conv:{alice/wrong}").set("td:conv:{alice/wrong}", "x").execute()
    await trial.fires("TapedeckSocketsBreak")
    recording.cancel()
    trial.redis.delete("td:conv:{alice/wrong}", "td:audio:{alice/wrong}")


async def test_a_key_is_missing(trial):
    async with trial.stack.http() as http:
        answer = await http.put("/v1/users/carol/settings", json={"protection": "enhanced"})
        assert answer.status_code == 200, answer.text
    await trial.client("sealed", uid="carol").run()
    await trial.fires("TapedeckKeyMissing")
    async with trial.stack.http() as http:
        (await http.delete("/v1/users/carol/conversations/sealed")).raise_for_status()


async def test_an_object_is_damaged(trial):
    await trial.client("spoilt", 2).run()
    async with trial.stack.http() as http:
        await flush(http, "alice", "spoilt")
    async with httpx.AsyncClient(base_url=trial.gcs.url, trust_env=False) as gcs:
        path = f"b/{trial.bucket}/o"
        listed = (await gcs.get(f"/storage/v1/{path}", params={"prefix": "chunks/alice/spoilt/"})).json()
        for item in listed["items"]:
            query = {"uploadType": "media", "name": item["name"]}
            was = (
                await gcs.get(f"/download/storage/v1/{path}/{quote(item['name'], safe='')}?alt=media")
            ).content
            answer = await gcs.post(f"/upload/storage/v1/{path}", params=query, content=was[: len(was) // 2])
            answer.raise_for_status()
    await trial.get("/spoilt/chunks")
    await trial.get("/spoilt/audio")
    await trial.fires("TapedeckUnreadableObjects")


@pytest.mark.long
async def test_tokens_that_no_key_signed(trial):
    stranger = trial.client("strange")
    stranger.token = "no token of ours"
    trying = asyncio.create_task(stranger.run())
    await trial.fires("TapedeckClientsRefused")
    trying.cancel()


@pytest.mark.long
async def test_a_process_stands_still(trial):
    with trial.frozen("listen"):
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
    await trial.fires("TapedeckRestarting", deadline_s=20)


@pytest.mark.long
async def test_a_component_is_gone(trial):
    with trial.frozen("pusher"):
        await trial.fires("TapedeckComponentGone")
    await trial.calm("TapedeckComponentGone")


@pytest.mark.long
async def test_redis_throws_away_and_cannot_save(trial):
    """Last: the system is not to be relied on any more."""
    trial.redis.config_set("maxmemory-policy", "allkeys-lru")
    trial.redis.config_set("maxmemory", int(trial.redis.info("memory")["used_memory"] * 0.7))
    trial.redis.config_set("maxmemory", 0)
    shutil.rmtree(trial.redis.config_get("dir")["dir"])
    trial.redis.bgsave()
    await trial.fires("TapedeckRedisEvicts", "TapedeckRedisNotSaving")
