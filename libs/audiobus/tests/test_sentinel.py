"""A client of sentinels: who the master is, what a failover looks like from here, and whom it asks."""

import asyncio
import uuid

import pytest

from audiobus import Bus
from audiobus.connection import open_client, translated
from audiobus.errors import BusRefusedError, BusUnavailableError
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.sentinel_group import SERVICE, SentinelGroup


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """Sentinels with a password of their own, servers with another."""
    group = SentinelGroup(
        any_server(),
        tmp_path_factory.mktemp("sentinels"),
        options=("--requirepass", "of-servers", "--masterauth", "of-servers"),
        sentinel_options=f"sentinel auth-pass {SERVICE} of-servers\nrequirepass of-sentinels\n",
        password="of-servers",
        sentinel_password="of-sentinels",
    ).start()
    yield group
    group.stop()


async def answers(bus: Bus) -> None:
    """Until it does."""
    async with asyncio.timeout(60):
        while True:
            try:
                await bus.command("SET", "there", "yes")
            except BusUnavailableError:
                await asyncio.to_thread(lambda: None)
            else:
                return


async def test_commands_go_to_the_master_that_the_sentinels_name(group):
    async with Bus(group.url, prefix=f"t{uuid.uuid4().hex[:8]}:") as bus:
        assert (await bus.command("ROLE"))[0] == b"master"
        await bus.command("SET", "key", "value")
        assert await bus.command("GET", "key") == b"value"


async def test_a_sentinel_that_is_away_is_passed_over(group):
    gone = f"127.0.0.1:1,{group.url.partition('@')[2]}"
    async with Bus(f"redis+sentinel://:of-servers@{gone}") as bus:
        await bus.ping()


async def test_a_service_that_nobody_knows_is_redis_being_away(group):
    async with Bus(group.url.replace(f"/{SERVICE}", "/other")) as bus:
        with pytest.raises(BusUnavailableError, match="other"):
            await bus.ping()


@pytest.mark.parametrize("which", ["of-servers", "of-sentinels"])
async def test_a_wrong_password_is_told_as_one(group, which):
    async with Bus(group.url.replace(which, "wrong")) as bus:
        with pytest.raises(BusUnavailableError) as refused:
            await bus.ping()
        assert isinstance(refused.value, BusRefusedError)


async def test_a_reader_that_blocks_follows_a_failover(group):
    former = next(server for server in group.servers if server.port == group.address())
    async with Bus(group.url) as bus:
        blocking = open_client(group.url, blocking_s=5)
        reading = asyncio.ensure_future(blocking.blpop(["list"], 5))
        await bus.ping()
        await asyncio.to_thread(former.kill)
        with pytest.raises(BusUnavailableError), translated("BLPOP"):
            await reading
        with pytest.raises(BusUnavailableError):
            await bus.ping()
        master = await asyncio.to_thread(group.wait_for_failover, former)
        await answers(bus)
        await bus.command("RPUSH", "list", "1")
        assert await blocking.blpop(["list"], 5) == (b"list", b"1")
        # The former master comes back as a master that has not heard of it yet, and is told. Nobody writes to it.
        await asyncio.to_thread(former.start)
        assert int((await bus.command("INFO", "server"))["tcp_port"]) == master.port
        await blocking.aclose()
