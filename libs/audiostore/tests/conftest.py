"""Stores to test against: memory, a folder, and real servers for gs://, s3:// and az:// (`tapedeck_testing.bucket_servers`).

Whatever asks for `store` runs over all backends, also below a prefix; `plain_store` without one; whatever asks for `remote` runs over those behind a network (or those in the test module's `SCHEMES`), each with a faulty line to it.
"""

import os
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
import pytest_asyncio

from audiostore import open_store
from audiostore.errors import AlreadyExistsError, NotFoundError
from audiostore.paired_store import PairedStore
from audiostore.store import Store
from tapedeck_testing.bucket_servers import SERVERS, BucketServer, binary
from tapedeck_testing.faulty_line import FaultyLine

STORES = [
    "memory",
    "file",
    "gs",
    "gs-prefix",
    "s3",
    "s3-prefix",
    "az",
    "az-prefix",
    "pair",
    "file-pair",
    "gs-pair",
]
REMOTE = ["gs", "s3", "az"]
_SETTINGS = ("AWS_", "AZURE_", "STORAGE_EMULATOR_HOST")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Builds the servers before the first test's time limit runs."""
    wanted = {name for item in items for name in getattr(item, "fixturenames", ())}
    if wanted & {"store", "plain_store", "remote", "servers"}:
        for server in SERVERS.values():
            binary(server.program)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    without = metafunc.definition.get_closest_marker("without")

    def tried(kinds: list[str]) -> list[str]:
        return [kind for kind in kinds if without is None or kind.partition("-")[0] != without.args[0]]

    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store_url", tried(STORES), indirect=True)
    elif "plain_store" in metafunc.fixturenames:
        metafunc.parametrize("store_url", tried([kind for kind in STORES if "-" not in kind]), indirect=True)
    elif "scheme" in metafunc.fixturenames:
        metafunc.parametrize("scheme", tried(getattr(metafunc.module, "SCHEMES", REMOTE)))


class Servers:
    """The servers of a test run, each started when it is first asked for."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._running: dict[str, BucketServer] = {}

    def __call__(self, scheme: str) -> BucketServer:
        if scheme not in self._running:
            self._running[scheme] = SERVERS[scheme].started(self._folders.mktemp(scheme) / "data")
        return self._running[scheme]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()


@pytest.fixture(scope="session")
def servers(tmp_path_factory) -> Iterator[Servers]:
    running = Servers(tmp_path_factory)
    yield running
    running.stop()


@pytest.fixture
def no_settings(monkeypatch) -> None:
    """Nothing of this machine's clouds reaches a test."""
    for name in os.environ:
        if name.startswith(_SETTINGS):
            monkeypatch.delenv(name)


@pytest.fixture
def store_url(request, tmp_path, no_settings, monkeypatch) -> str:
    scheme, _, prefix = request.param.partition("-")
    if scheme in {"memory", "pair"}:
        return "memory:"
    if scheme == "file":
        return f"file://{tmp_path}/store"
    server = request.getfixturevalue("servers")(scheme)
    for name, value in server.settings().items():
        monkeypatch.setenv(name, value)
    return f"{scheme}://{server.make_bucket()}{'/some/prefix' if prefix == 'prefix' else ''}"


class Scattered(PairedStore):
    """A pair of which the second holds half of all objects: every other name is put there, as if the first had been away."""

    async def put(self, name, data, *, content_type, metadata):
        if zlib.crc32(name.encode(errors="replace")) % 2:
            return await super().put(name, data, content_type=content_type, metadata=metadata)
        with suppress(NotFoundError):
            await self.first.head(name)
            raise AlreadyExistsError(f"put {name}: the name is taken")
        return await self.second.put(name, data, content_type=content_type, metadata=metadata)


@pytest_asyncio.fixture
async def store_opened(request, store_url) -> AsyncIterator[Store]:
    opened = open_store(store_url)
    if request.node.callspec.params["store_url"].endswith("pair"):
        # A prefix below the first one would be seen in it, so it lies beside it.
        beside = store_url if store_url == "memory:" else f"{store_url}-2"
        if store_url.startswith("gs:"):
            beside = f"gs://{request.getfixturevalue('servers')('gs').make_bucket()}"
        opened = Scattered(opened, open_store(beside))
    yield opened
    await opened.close()


@pytest.fixture
def store(store_opened) -> Store:
    return store_opened


@pytest.fixture
def plain_store(store_url, store_opened) -> Store:
    """For what is costly: no folder in the bucket, which the other tests have already."""
    return store_opened


@dataclass
class Remote:
    """A store behind a network, the faulty line that its requests go over, and the server behind that."""

    store: Store
    line: FaultyLine
    server: BucketServer
    url: str


@pytest_asyncio.fixture
async def remote(scheme, servers, no_settings, monkeypatch) -> AsyncIterator[Remote]:
    server = servers(scheme)
    line = FaultyLine(server.url)
    for name, value in server.settings(line.url).items():
        monkeypatch.setenv(name, value)
    url = f"{scheme}://{server.make_bucket()}"
    opened = open_store(url)
    # What a process does once, to learn what its server can, is done: requests can be counted.
    await opened.put("warm/up", b"1", content_type="text/plain", metadata={})
    await opened.copy("warm/up", "warm/copy")
    for name in ("warm/up", "warm/copy"):
        await opened.delete(name)
    line.requests.clear()
    yield Remote(opened, line, server, url)
    line.release.set()
    await opened.close()
    line.close()
