"""What ended sockets used is written without them, and again until it stands."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from audiobus import Bus, UsageTotal, Writer
from listen.late_usage import LateUsage
from listen.metrics import ListenMetrics
from servicekit.metrics import Metrics

DAY = 20_048


@pytest.fixture
def families():
    return ListenMetrics(Metrics("listen", "0"))


@asynccontextmanager
async def working(bus, families):
    writer = Writer(bus)
    late = LateUsage(writer, families)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        running = tasks.create_task(late.run())
        yield late
        await late.close(running)
        writer.close()


async def used(bus, uid: str) -> dict[str, int]:
    rows = await bus.command("HGETALL", bus.keys.usage(uid, DAY))
    pairs = rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
    return {key.decode(): int(value) for key, value in pairs}


async def test_what_is_put_is_written_and_the_higher_total_counts(one_bus, families):
    async with working(one_bus, families) as late:
        late.put("u", (UsageTotal(DAY, "a/1", 50),))
        late.put("u", (UsageTotal(DAY, "a/1", 40), UsageTotal(DAY, "b/2", 7)))
        for number in range(60):
            late.put(f"u{number}", (UsageTotal(DAY, "a/1", number + 1),))
    assert await used(one_bus, "u") == {"a/1": 50, "b/2": 7}
    assert await used(one_bus, "u59") == {"a/1": 60}


async def test_a_redis_that_was_away_gets_it_when_it_is_back(redis_process, families):
    async with Bus(redis_process.url) as bus:
        redis_process.kill()
        async with working(bus, families) as late:
            late.put("u", (UsageTotal(DAY, "a/1", 50),))
            await asyncio.sleep(0)
            redis_process.start()
            async with asyncio.timeout(60):
                while not await used(bus, "u"):
                    await asyncio.sleep(0.02)
        assert await used(bus, "u") == {"a/1": 50}


async def test_a_process_that_ends_leaves_the_rest_to_whoever_comes_next(families, caplog):
    async with Bus("redis://127.0.0.1:1") as away, working(away, families) as late:
        late.put("u", (UsageTotal(DAY, "a/1", 50),))
    assert "left to whoever comes next" in caplog.text
