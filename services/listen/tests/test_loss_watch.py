"""What Redis loses of sessions whose sockets are gone is counted, once, over real sockets and a Redis that loses the end of its log."""

import asyncio
import os
import time
from importlib.metadata import version

import pytest
import redis

from audiobus import AppendRequest, Bus, Conversation, EntryId, Position
from listen.actions import Left, Lost
from listen.former_sessions import FormerSessions
from listen.loss_watch import LossWatch
from listen.metrics import ListenMetrics
from servicekit.metrics import Metrics
from tapedeck_testing.redis_fixtures import any_server
from tapedeck_testing.redis_process import make_cluster

LOST = "tapedeck_audio_lost_seconds_total"


@pytest.fixture
def now_ms():
    return time.time_ns() // 1_000_000


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr("listen.loss_watch.LOOK_S", 0.05)
    monkeypatch.setattr("listen.former_sessions.GRACE_MS", 1_000)
    monkeypatch.setattr("listen.former_sessions.AGAIN_MS", 300)


def log_of(server):
    logs = [*server.directory.rglob("*.incr.aof"), *server.directory.glob("appendonly.aof")]
    return logs[0]


def write_at_once(server):
    """Its log holds whatever it has answered: else a write waits for the sync before it."""
    with redis.Redis(port=server.port) as client:
        client.config_set("appendfsync", "no")


def lose(server, size):
    """Redis is killed, and comes back with the beginning of its log."""
    server.kill()
    os.truncate(log_of(server), size)
    server.start()


async def record(service, packets, query=""):
    """A client that sends packets and goes without a word; the session, and what was acked."""
    async with service.connect(f"codec=opus&conversation_id=a{query}") as client:
        ready = await client.hear("ready")
        start = ready["resume_offset"]
        for packet in packets:
            await client.send(packet)
        await client.acked(start + sum(map(len, packets)) // 2)
    await service.until_empty()
    return ready["session"]


async def lost_seconds(service, at_least):
    async with asyncio.timeout(60):
        while (seconds := (await service.metrics())[LOST]) < at_least:
            await asyncio.sleep(0.05)
    return seconds


async def test_what_nobody_has_is_counted_and_told(make_service, redis_process, packets, caplog):
    service = make_service(url=redis_process.url)
    write_at_once(redis_process)
    async with service.here():
        session = await record(service, packets[:100])
        size = log_of(redis_process).stat().st_size
        await record(service, packets[100:250], f"&session={session}")
        lose(redis_process, size)
        assert await lost_seconds(service, 1) == pytest.approx(3.0, abs=0.2)
        assert (await service.bus.state(Conversation("alice", "a"))).newest is not None
    told = [one for one in caplog.records if "a socket that is gone" in one.message]
    assert [(one.conversation_id, round(one.about_seconds)) for one in told] == [("a", 3)]


async def test_what_a_client_sends_again_to_another_process_is_not_lost(make_service, redis_process, packets):
    one = make_service(url=redis_process.url)
    other = make_service(url=redis_process.url, TAPEDECK_REDIS_PREFIX=one.prefix)
    write_at_once(redis_process)
    async with one.here(), other.here():
        session = await record(one, packets[:50])
        size = log_of(redis_process).stat().st_size
        query = f"&session={session}"
        await record(one, packets[50:150], query)
        await record(other, packets[150:250], query)
        lose(redis_process, size)
        await record(other, packets[50:100], query)  # so much its client still has
        # The one misses 1 s of it, the other 3 s.
        async with asyncio.timeout(60):
            while (both := (await one.metrics())[LOST] + (await other.metrics())[LOST]) < 2.8:
                await asyncio.sleep(0.05)
        assert both == pytest.approx(3.0, abs=0.2)


class Watched:
    """A process' knowledge of former sessions, without its sockets."""

    def __init__(self, bus):
        self.bus = bus
        self.former = FormerSessions()
        self.metrics = Metrics("listen", version("tapedeck-listen"))
        self.watch = LossWatch(bus, self.former, ListenMetrics(self.metrics))

    @property
    def lost(self):
        rows = [row for row in self.metrics.render().decode().splitlines() if row.startswith(f"{LOST} ")]
        return float(rows[0].split()[1])

    async def until(self, done):
        async with asyncio.timeout(60):
            while not done():
                await self.watch.look()
                await asyncio.sleep(0.05)


async def append(bus, conversation, epoch, start, end, now_ms):
    before = EntryId(epoch, start)
    request = AppendRequest(conversation, "me", before, EntryId(epoch, end), b"x", 48, Position(0, 0), now_ms)
    assert (await bus.append(request)).newest == EntryId(epoch, end)


async def test_on_a_cluster_what_one_master_lost_is_found_and_one_that_is_away_holds_up_nobody(
    tmp_path, now_ms
):
    nodes = make_cluster(any_server(), tmp_path)
    uid = "alice"  # what she deleted is known to the first master
    conversations = [Conversation(uid, f"c{number}") for number in range(8)]
    try:
        async with Bus(f"redis+cluster://127.0.0.1:{nodes[0].port}") as bus:
            watched = Watched(bus)
            epochs = {}
            for node in nodes:
                node.add_options("--cluster-require-full-coverage", "no")
                with redis.Redis(port=node.port) as client:
                    client.config_set("cluster-require-full-coverage", "no")
                write_at_once(node)
            for conversation in conversations:
                opened = await bus.open(conversation, owner="me", format="opus:16000:1:312", now_ms=now_ms)
                epochs[conversation] = opened.epoch
                await append(bus, conversation, opened.epoch, 0, 100, now_ms)
            sizes = [log_of(node).stat().st_size for node in nodes]
            homes = {one: bus.client.lane(bus.keys.conv(one)) for one in conversations}
            mine = [one for one in conversations if homes[one].endswith(f":{nodes[1].port}")]
            away = [one for one in conversations if homes[one].endswith(f":{nodes[2].port}")]
            assert mine
            assert away
            assert bus.client.lane(bus.keys.user_tomb(uid)).endswith(f":{nodes[0].port}")
            for conversation, epoch in epochs.items():
                await append(bus, conversation, epoch, 100, 200, now_ms)
                watched.former.note(uid, Left(conversation.cid, epoch, 200, 0, 200, 96_000), now_ms)
            await watched.watch.look()
            lose(nodes[1], sizes[1])
            nodes[2].kill()
            # Half a second of one is counted by the socket that resumed it.
            watched.former.note(uid, Lost(away[0].cid, epochs[away[0]], 100, 150), now_ms)
            await watched.until(lambda: watched.lost >= len(mine))
            assert watched.lost == len(mine)  # a second each
            os.truncate(log_of(nodes[2]), sizes[2])
            nodes[2].start()
            whole = len(mine) + len(away)
            await watched.until(lambda: watched.lost >= whole - 0.5)
            assert watched.lost == whole - 0.5
            assert len(watched.former) == len(conversations) - whole
    finally:
        for node in nodes:
            node.stop()


async def test_of_all_who_know_of_a_loss_one_counts_it(one_bus, now_ms):
    conversation = Conversation("alice", "a")
    opened = await one_bus.open(conversation, owner="me", format="opus:16000:1:312", now_ms=now_ms)
    await append(one_bus, conversation, opened.epoch, 0, 100, now_ms)
    watchers = [Watched(one_bus) for _ in range(3)]
    for watched, acked in zip(watchers, (200, 300, 250), strict=True):
        watched.former.note("alice", Left("a", opened.epoch, acked, 0, 100, 48_000), now_ms)
    await asyncio.gather(*(one.until(lambda one=one: not one.former) for one in watchers))
    assert sum(watched.lost for watched in watchers) == 2


async def test_what_is_deleted_is_not_missed(one_bus, now_ms):
    conversation = Conversation("alice", "a")
    watched = Watched(one_bus)
    watched.former.note("alice", Left("a", 7, 100, 0, 100, 48_000), now_ms)
    await one_bus.command("SET", one_bus.keys.tomb(conversation), "1")
    await watched.until(lambda: not watched.former)
    assert watched.lost == 0
