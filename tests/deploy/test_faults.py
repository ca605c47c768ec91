"""Each fault of the runbook is caused for real, and its alert fires: a system, a bucket's server, and a Prometheus whose minutes are seconds.

Here: Redis, the bucket, what is stored. Of the processes, and of who connects to them: test_faults_of_processes.py. The long ones, five minutes together, are chosen: `make faults`.
"""

import asyncio
import shutil
from urllib.parse import quote

import httpx
import pytest

from tapedeck_testing.account import flush
from tapedeck_testing.trial import SECOND


@pytest.mark.long
async def test_redis_away(trial):
    recording = asyncio.create_task(trial.client("frozen", 6, pace_s=0.1).run())
    await asyncio.sleep(1)
    with trial.stack.frozen("redis"):
        refused = asyncio.create_task(trial.client("refused").run())
        asking = asyncio.create_task(trial.flush_on("frozen"))
        await trial.fires(
            "TapedeckRedisAway", "TapedeckNotReady", "TapedeckSessionsRefused", "TapedeckApiErrors"
        )
        asking.cancel()
    await asyncio.gather(recording, refused)
    await trial.fires("TapedeckAcksSlow")
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
        with trial.stack.frozen("redis"):
            asked = asyncio.create_task(trial.get("/listed/chunks"))
            await asyncio.sleep(2)
        await asked
    await trial.fires("TapedeckApiSlow")


async def test_redis_full(trial):
    with trial.redis_full():
        await trial.fires("TapedeckRedisFull", "TapedeckRedisFilling", "TapedeckWarnings")
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
    with trial.stack.frozen("pusher"):
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
async def test_redis_throws_away_and_cannot_save(trial):
    """Last: the system is not to be relied on any more."""
    trial.redis.config_set("maxmemory-policy", "allkeys-lru")
    trial.redis.config_set("maxmemory", int(trial.redis.info("memory")["used_memory"] * 0.7))
    trial.redis.config_set("maxmemory", 0)
    shutil.rmtree(trial.redis.config_get("dir")["dir"])
    trial.redis.bgsave()
    await trial.fires("TapedeckRedisEvicts", "TapedeckRedisNotSaving")
