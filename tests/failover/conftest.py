"""Real sentinels and real clusters with replicas, to be failed over."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from audiobus import Bus, Conversation, Writer
from tapedeck_testing.cluster_group import ClusterGroup
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.sentinel_group import SentinelGroup
from tapedeck_testing.witness import Witness


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long ones are chosen, not skipped: TAPEDECK_TEST_FAILOVER_LONG=1. CI runs the shortest of them."""
    if os.environ.get("TAPEDECK_TEST_FAILOVER_LONG"):
        return
    left_out = [item for item in items if "failover" in item.path.parts and left_out_of(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def left_out_of(item: pytest.Item) -> bool:
    """Whether a test is too long for such a run."""
    long = item.get_closest_marker("long")
    return long is not None and not (os.environ.get("CI") == "true" and long.kwargs.get("in_ci", False))


@pytest.fixture
def sentinels(tmp_path):
    """A master, two replicas, three sentinels."""
    group = SentinelGroup(any_server(), tmp_path / "sentinels", replicas=2).start()
    yield group
    group.stop()


@pytest.fixture
def cluster(tmp_path):
    """Three masters with a replica each."""
    group = ClusterGroup(any_server(), tmp_path / "cluster").start()
    yield group
    group.stop()


@pytest.fixture
def witnesses():
    """Recorders that write while inside; when it is left, each has been asked to stop."""

    @asynccontextmanager
    async def run(url: str, count: int, *, wait_replicas: int):
        async with Bus(url, wait_replicas=wait_replicas) as bus:
            writer, stop = Writer(bus), asyncio.Event()
            made = [Witness(bus, writer, Conversation("u", f"c{number}")) for number in range(count)]
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(writer.run())
                recording = [group.create_task(witness.run(stop)) for witness in made]
                try:
                    yield made
                finally:
                    stop.set()
                    await asyncio.wait(recording)
                    writer.close()
                    await writing

    return run
