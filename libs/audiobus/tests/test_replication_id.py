"""Which histories Redis has."""

import asyncio
import uuid

import pytest
import redis

from audiobus import Bus
from audiobus.errors import BusUnavailableError
from audiobus.replication_id import HistoryWatch, histories
from audiobus.turn import take
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.replica_pair import replica_pair
from tapedeck_testing.sentinel_group import in_step


async def back_up(server, bus) -> None:
    """What `redis-cli --rdb` does, as far as it matters for ids."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"SYNC\r\n")
    await backlog(bus, active=1)
    writer.close()
    await writer.wait_closed()


async def backlog(bus, *, active: int) -> None:
    """Waits until the server has one, or has none."""
    async with asyncio.timeout(60):
        while (await bus.client.info("replication"))["repl_backlog_active"] != active:
            await asyncio.sleep(0.05)


async def answers(bus) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await bus.ping()
            except BusUnavailableError:
                continue
            return


@pytest.mark.parametrize("kind", ["redis_url", "redis_62_url", "redis_cluster_url"])
async def test_the_history_stays_as_long_as_the_server_lives(kind, request, conversation):
    async with Bus(request.getfixturevalue(kind), prefix=f"t{uuid.uuid4().hex[:12]}:") as bus:
        first = await take(bus, conversation, "me", 30_000, entries=1)
        assert len(first.history) == 40
        assert {first.history} <= await histories(bus)
        assert (await take(bus, conversation, "me", 30_000, entries=1)).history == first.history


async def test_a_backup_of_one_that_goes_on_makes_a_new_id_and_no_other_redis(redis_process):
    async with Bus(redis_process.url) as bus:
        watch = HistoryWatch(bus)
        assert not await watch.another()
        before = await histories(bus)
        await back_up(redis_process, bus)
        during = await histories(bus)
        assert during != before
        assert not await watch.another()
        # An hour after it, as a rule.
        await bus.command("CONFIG", "SET", "repl-backlog-ttl", "1")
        await backlog(bus, active=0)
        assert await histories(bus) not in ({*before}, {*during})
        assert not await watch.another()
        # Nor does that hide a restart.
        redis_process.kill()
        redis_process.start()
        await answers(bus)
        assert await watch.another()
        assert not await watch.another()


async def test_one_that_followed_another_has_its_data_though_it_goes_on_running(tmp_path):
    with replica_pair(any_server(), tmp_path) as (master, other):
        other_client = redis.Redis(port=other.port)
        other_client.replicaof("NO", "ONE")
        other_client.config_set("repl-diskless-sync-delay", 0)
        other_client.close()
        async with Bus(master.url) as bus:
            watch = HistoryWatch(bus)
            assert not await watch.another()
            await bus.command("SET", "written since", 1)
            # Demoted, filled from the other, and promoted again: one process all along.
            await bus.command("REPLICAOF", "127.0.0.1", other.port)
            while not in_step(master):
                await asyncio.sleep(0.05)
            assert not await bus.command("EXISTS", "written since")
            assert await watch.another()
            await bus.command("REPLICAOF", "NO", "ONE")
            assert await watch.another()
            assert not await watch.another()
        async with Bus(other.url) as bus:
            unseen = HistoryWatch(bus)
            assert not await unseen.another()
            await bus.command("REPLICAOF", "127.0.0.1", master.port)
            while not in_step(other):
                await asyncio.sleep(0.05)
            await bus.command("REPLICAOF", "NO", "ONE")
            assert await unseen.another()
