"""Processes of storage-api that are killed with SIGKILL in the middle of one merge, one after the other: whoever comes next brings it to its end.

A process runs for a moment and is stopped for a look, until it is where it is to die: real processes, a real Redis, a folder and fake-gcs-server.
"""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from audiobus import Conversation, operations
from audiobus.census import exact
from audiobus.merging import is_free
from audiostore import open_store
from audiostore.names import conversation_prefix
from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.free_ports import free_port

T0 = 1_700_000_000_000
UID = "user-1"
SOURCES, TARGET = ("a", "b"), "all"
EACH = 16
"""Objects of a source."""
SLICE_S = 0.002
"""So long a process runs between two looks."""


@dataclass(frozen=True)
class Stand:
    """What lies where."""

    copied: int
    """Objects in the target."""
    left: int
    """Objects in the sources."""
    went: int
    """Sources under a tombstone."""
    frozen: int


MOMENTS: dict[str, Callable[[Stand], bool]] = {
    "frozen": lambda now: now.frozen > 0,
    "copying": lambda now: now.copied > EACH // 2,
    "all copied": lambda now: now.copied >= 2 * EACH,
    "one went": lambda now: now.went > 0,
    "deleting the last": lambda now: now.went == 2 and now.left < EACH,
}
"""Each is true from some step on until the end."""
OF_GS = ("copying", "one went")
"""A process that speaks to a bucket takes a second or two to start."""


@pytest.fixture(scope="module")
def gcs(tmp_path_factory):
    server = GcsServer.started(tmp_path_factory.mktemp("gcs"))
    yield server
    server.stop()


@pytest.fixture(params=["folder", "gs"])
def store_url(request, tmp_path, monkeypatch) -> str:
    if request.param == "folder":
        return f"file://{tmp_path}/store"
    gcs = request.getfixturevalue("gcs")
    for name, value in gcs.settings().items():
        monkeypatch.setenv(name, value)
    return f"gs://{gcs.make_bucket()}"


@pytest_asyncio.fixture
async def store(store_url):
    opened = open_store(store_url)
    yield opened
    await opened.close()


@pytest.fixture
def start(tmp_path, redis_url, one_bus, store_url):
    """Starts processes; all are ended."""
    started = []
    (tmp_path / "process-secret").write_text("storage-api-test-secret-of-32-bytes!")
    digest = hashlib.sha256(b"a-token").hexdigest()
    entry = {"name": "all", "sha256": digest, "scopes": ["audio:read", "audio:write"]}
    (tmp_path / "process-tokens.json").write_text(json.dumps([entry]))

    def one() -> tuple[subprocess.Popen[bytes], str]:
        port = free_port()
        environ = {
            **os.environ,
            "TAPEDECK_AUTH": "dev",
            "TAPEDECK_JWT_SECRET_FILE": str(tmp_path / "process-secret"),
            "TAPEDECK_SERVICE_TOKENS_FILE": str(tmp_path / "process-tokens.json"),
            "TAPEDECK_REDIS_URL": redis_url,
            "TAPEDECK_REDIS_PREFIX": one_bus.keys.prefix,
            "TAPEDECK_STORE_URL": store_url,
            "TAPEDECK_STORAGE_BIND": f"127.0.0.1:{port}",
            "TAPEDECK_ADMIN_BIND": f"127.0.0.1:{free_port()}",
        }
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "storage_api"], env=environ, stdout=log, stderr=log
            )
        started.append(process)
        return process, f"http://127.0.0.1:{port}"

    yield one
    for process in started:
        process.kill()
        process.wait()


@pytest_asyncio.fixture
async def ask() -> AsyncIterator[Callable]:
    async with httpx.AsyncClient(headers={"Authorization": "Bearer a-token"}, timeout=60) as http:

        async def post(url: str) -> dict:
            """The merge is asked for, as soon as the process takes requests."""
            path = f"{url}/v1/users/{UID}/conversations:merge"
            body = {"sources": SOURCES, "target": TARGET, "delete_sources": True}
            while True:
                try:
                    answer = await http.post(path, json=body)
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
                else:
                    assert answer.status_code == 202, answer.text
                    return answer.json()

        yield post


class Scene:
    """Two recordings that lie in the bucket whole, and the merge of both."""

    def __init__(self, api, store, bus) -> None:
        self._api, self._store, self._bus = api, store, bus
        self.sources = [Conversation(UID, cid) for cid in SOURCES]
        self.target = Conversation(UID, TARGET)
        self.samples = 0

    async def record(self, tape, chunks) -> None:
        await tape.open(chunks[0][0].run_start_ms)
        await tape.append(chunks)
        # Whose session has ended has nothing to bring any more: the merge need not wait for it.
        await self._bus.ask(tape.conversation, "end", owner=tape.owner, ends=True, newest=tape.newest)
        for number in range(len(chunks)):
            await tape.drain(number, number + 1)
        self.samples += sum(chunk.samples for chunk, _ in chunks)

    async def heard(self, one: Conversation) -> bytes:
        return (await self._api.pcm(one, fill_gaps="false")).tobytes()

    async def names(self, *of: Conversation) -> list[str]:
        return [info.name for one in of async for info in self._store.list(conversation_prefix(*one))]

    async def bytes(self, *of: Conversation) -> list[bytes]:
        return sorted([await self._store.get(name) for name in await self.names(*of)])

    async def look(self) -> Stand:
        states = [await self._bus.state(one) for one in self.sources]
        return Stand(
            copied=len(await self.names(self.target)),
            left=len(await self.names(*self.sources)),
            went=sum([await self._bus.tombstone(one) for one in self.sources]),
            frozen=sum(state.in_merge for state in states),
        )

    async def is_taken(self) -> bool:
        """Whether a process carries the merge out."""
        keys = await self._bus.command("KEYS", self._bus.keys.operation("*"))
        return bool(keys) and await self._bus.command("HEXISTS", keys[0], "holder")

    async def operation(self) -> operations.Operation:
        """The one that there is, as of a process that was not heard of for as long as a lease is."""
        [key] = await self._bus.command("KEYS", self._bus.keys.operation("*"))
        operation_id = key.decode().removeprefix(self._bus.keys.operation(""))
        await self._bus.command("HDEL", key, "holder", "until")
        found = await operations.find(self._bus, operation_id)
        if not found.done:
            await self._bus.command("ZADD", self._bus.keys.operations(), 0, operation_id)
        return found


async def until_killed(process, scene: Scene, reached: Callable[[Stand], bool]) -> None:
    """Runs it in slices until it is there, and kills it."""
    async with asyncio.timeout(60):
        while not await scene.is_taken():
            assert process.poll() is None
            await asyncio.sleep(SLICE_S)
        process.send_signal(signal.SIGSTOP)
        while not reached(await scene.look()):
            assert process.poll() is None
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(SLICE_S)
            process.send_signal(signal.SIGSTOP)
    process.kill()
    process.wait()


@pytest.mark.timeout(120)
async def test_processes_that_are_killed_one_after_the_other(
    api, store, store_url, tape_for, encode, pcm_tone, one_bus, start, ask
):
    scene = Scene(api, store, one_bus)
    for number, one in enumerate(scene.sources):
        pcm = pcm_tone(EACH / 10, hertz=300.0 + 300 * number)
        chunks = encode(pcm, run_start_ms=T0 + 10_000 * number, chunk_s=0.1)
        await scene.record(tape_for(one), chunks)
    objects = await scene.bytes(*scene.sources)
    heard = b"".join([await scene.heard(one) for one in scene.sources])
    killed = []
    for name in OF_GS if store_url.startswith("gs:") else MOMENTS:
        process, url = start()
        asking = asyncio.create_task(ask(url))
        await until_killed(process, scene, MOMENTS[name])
        asking.cancel()
        await asyncio.wait([asking])
        if (await scene.operation()).done:
            break  # where this process stands still for long, the other one comes to its end
        killed.append(name)
    assert killed
    _, url = start()
    operation = await ask(url)
    async with asyncio.timeout(60):
        while not operation["done"]:
            operation = await ask(url)
            await asyncio.sleep(0.02)
    assert (operation["error"], operation["result"]) == (None, {"sources": 2, "objects": len(objects)})
    assert operation["id"] == (await scene.operation()).id
    assert await scene.bytes(scene.target) == objects
    assert await scene.heard(scene.target) == heard
    assert await scene.look() == Stand(copied=len(objects), left=0, went=2, frozen=0)
    balance = await exact(one_bus, scene.target)
    assert (balance.difference, balance.stored) == (0, scene.samples)
    assert [(await exact(one_bus, one)).stored for one in scene.sources] == [0, 0]
    assert await is_free(one_bus, scene.target)
