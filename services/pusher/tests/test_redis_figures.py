import asyncio

import pytest

from audiobus import Bus
from pusher.redis_figures import RedisFigures
from servicekit.metrics import Metrics
from servicekit.stop import Stop


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr("pusher.redis_figures.LOOK_S", 0.02)


@pytest.fixture
def registry():
    return Metrics("pusher", "1")


@pytest.fixture
async def looking(registry, bus):
    """Looks, as long as the test lasts, at a Redis; `speaks` may be changed."""
    figures, stop, tasks, speaks = RedisFigures(registry), Stop(1), [], [True]

    def look_at(bus: Bus) -> list[bool]:
        tasks.append(asyncio.create_task(figures.run(bus, lambda: speaks[0], stop)))
        return speaks

    yield look_at
    stop.set()
    await asyncio.gather(*tasks)


def shown(registry, name: str) -> str:
    (line,) = [one for one in registry.render().decode().splitlines() if one.startswith(f"tapedeck_{name} ")]
    return line.rpartition(" ")[2]


async def until(registry, name: str, wanted: str) -> None:
    async with asyncio.timeout(60):
        while shown(registry, name) != wanted:
            await asyncio.sleep(0.01)


async def test_what_redis_says_is_shown_by_whoever_speaks(registry, looking, redis_process):
    async with Bus(redis_process.url) as own:
        await own.command("CONFIG", "SET", "maxmemory", 50_000_000)
        speaks = looking(own)
        await until(registry, "redis_memory_limit_bytes", "5e+07")
        assert shown(registry, "redis_servers") == "1.0"
        assert float(shown(registry, "redis_memory_used_bytes")) > 100_000
        assert float(shown(registry, "redis_clients")) >= 1
        assert shown(registry, "redis_not_saving") == shown(registry, "redis_evicted_keys") == "0.0"
        speaks[0] = False
        await until(registry, "redis_servers", "0.0")
        assert shown(registry, "redis_memory_used_bytes") == "0.0"


async def test_nothing_is_known_of_a_redis_that_is_away_but_that(registry, looking, redis_process):
    async with Bus(redis_process.url) as own:
        looking(own)
        await until(registry, "redis_servers", "1.0")
        redis_process.kill()
        await until(registry, "redis_servers", "0.0")
        assert shown(registry, "redis_memory_used_bytes") == "NaN"


async def test_the_masters_of_a_cluster_are_summed(registry):
    figures = RedisFigures(registry)
    one = {"used_memory": 10, "maxmemory": 40, "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok"}
    figures.show([one, {**one, "used_memory": 20, "aof_last_write_status": "err", "evicted_keys": 3}])
    assert shown(registry, "redis_servers") == "2.0"
    assert shown(registry, "redis_memory_used_bytes") == "30.0"
    assert shown(registry, "redis_not_saving") == "1.0"
    assert shown(registry, "redis_evicted_keys") == "3.0"
