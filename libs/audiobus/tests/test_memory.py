"""How full Redis is, and what it says when it is."""

import pytest

from audiobus import Bus
from audiobus.errors import BusFullError, BusUnavailableError
from audiobus.memory import memory_share


async def test_without_a_limit_nothing_is_full(one_bus):
    assert await memory_share(one_bus) is None


async def test_the_share_is_what_decides_whether_a_write_is_refused(redis_process):
    async with Bus(redis_process.url) as bus:
        used = (await bus.client.info("memory"))["used_memory"]
        await bus.command("CONFIG", "SET", "maxmemory", 2 * used)
        share = await memory_share(bus)
        assert share is not None
        assert 0.3 < share < 0.7
        await bus.command("CONFIG", "SET", "maxmemory", used // 2)
        share = await memory_share(bus)
        assert share is not None
        assert share > 1
        with pytest.raises(BusFullError) as refused:
            await bus.command("SET", "a", "b")
        assert refused.value.retryable
        redis_process.kill()
        with pytest.raises(BusUnavailableError):
            await memory_share(bus)


async def test_every_master_of_a_cluster_is_asked(redis_cluster_url):
    async with Bus(redis_cluster_url) as bus:
        assert await memory_share(bus) is None
