"""How many operations there are, as gauges."""

import asyncio

import pytest

from audiobus import Bus, operations
from servicekit.metrics import Metrics
from storage_api.metrics import StorageMetrics
from storage_api.operations.tally import Tally


@pytest.fixture
def registry():
    return Metrics("storage-api", "test")


def shown(registry) -> dict[str, str]:
    lines = registry.render().decode().splitlines()
    found = (
        line.removeprefix("tapedeck_operations{state=") for line in lines if "tapedeck_operations{" in line
    )
    return {line.split('"')[1]: line.rsplit(" ", 1)[1] for line in found}


async def test_they_are_shown_by_state(one_bus, registry):
    tally = Tally(one_bus, StorageMetrics(registry))
    assert shown(registry) == dict.fromkeys(("undone", "due", "failing"), "NaN")
    for number in range(3):
        await operations.begin(one_bus, f"op-{number}", "count", "user-1", b"{}")
    await operations.take(one_bus, "op-1", "a", 60_000)
    await operations.write(one_bus, "op-1", "a", "later", 60_000, {"tries": 2})
    await tally.count()
    assert shown(registry) == {"undone": "3.0", "due": "2.0", "failing": "1.0"}


async def test_while_redis_is_away_the_last_numbers_stay(redis_process, registry, until):
    async with Bus(redis_process.url) as bus:
        await operations.begin(bus, "op-1", "count", "user-1", b"{}")
        running = asyncio.create_task(Tally(bus, StorageMetrics(registry)).run(0.01))
        await until(lambda: shown(registry)["undone"] == "1.0")
        redis_process.kill()
        await asyncio.sleep(0.05)
        assert not running.done()
        assert shown(registry)["undone"] == "1.0"
        running.cancel()
        await asyncio.wait([running])
