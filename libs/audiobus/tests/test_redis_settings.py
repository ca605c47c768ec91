"""Settings of Redis with which audio can get lost."""

import pytest

from audiobus import Bus
from audiobus.errors import BusUnavailableError
from audiobus.redis_settings import NO_LIMIT, complaints


async def test_a_good_one_and_a_bad_one(redis_process):
    async with Bus(redis_process.url) as bus:
        assert await complaints(bus) == [NO_LIMIT]
        await bus.command("CONFIG", "SET", "maxmemory", "1gb")
        assert await complaints(bus) == []
        await bus.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        await bus.command("CONFIG", "SET", "appendonly", "no")
        found = await complaints(bus)
        assert len(found) == 2
        assert "appendonly" in found[0]
        assert "noeviction" in found[1]
        redis_process.kill()
        with pytest.raises(BusUnavailableError):
            await complaints(bus)


async def test_replicas_that_are_waited_for_must_be_there(redis_url):
    async with Bus(redis_url, wait_replicas=2) as bus:
        (found,) = [one for one in await complaints(bus) if one != NO_LIMIT]
        assert "0 replicas are connected and 2 are waited for" in found


async def test_every_master_of_a_cluster_is_asked(redis_cluster_url):
    async with Bus(redis_cluster_url) as bus:
        assert set(await complaints(bus)) <= {NO_LIMIT}
