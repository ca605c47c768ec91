"""A merge of a day: 1,440 objects copied inside the bucket, compared, and the source deleted.

Baseline: the store's own copies and deletions of as many objects, as many at once, in this process: what any merge has to do at the least.
"""

import asyncio
import json
import os
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from audiostore import open_store
from audiostore.store import Store
from bench import stored_recording
from bench.bucket import DELAY_MS, Bucket
from bench.fetching import conversation
from bench.figure import Figure, Goal
from bench.process import BenchError
from bench.scale import Scale
from bench.stored_recording import START_MS, UID
from bench.workbench import Service, Workbench
from tapedeck.up.ports import LOOPBACK

PART = "merge"
AT_ONCE = 32
"""As `storage_api.merging.copying` has it."""
BATCH_PACKETS = 50
GOAL = 2
STEP_S = 0.02
PATIENCE_S = 300


def measure(scale: Scale) -> Iterator[Figure]:
    """Seconds."""
    count = scale.day_batches
    with Workbench() as workbench:
        for number in range(4):
            at_ms = START_MS + number * 86_400_000
            stored_recording.store(workbench.store, f"source{number}", count, BATCH_PACKETS, at_ms)
            stored_recording.store(workbench.store, f"target{number}", 1, BATCH_PACKETS, at_ms - 3_600_000)
        api = workbench.service("storage_api")
        ours = _merge_s(workbench, api, "source0", "target0", count)
        own = asyncio.run(_copies_s(f"file://{workbench.store}", "source1"))
        yield _figure(f"{count:,} objects in a folder", ours, own)
        api.process.end()
        bucket = Bucket(workbench, 0, filled=True)
        os.environ["STORAGE_EMULATOR_HOST"] = bucket.endpoint
        for number, delay_ms in ((2, 0), (3, DELAY_MS)):
            bucket.delay(delay_ms)
            api = workbench.service("storage_api", port=0, **bucket.settings)
            ours = _merge_s(workbench, api, f"source{number}", f"target{number}", count)
            own = asyncio.run(_copies_s(bucket.settings["TAPEDECK_STORE_URL"], f"target{number}"))
            yield _figure(f"{count:,} objects in a bucket that takes {delay_ms} ms", ours, own)
            api.process.end()
        del os.environ["STORAGE_EMULATOR_HOST"]


def _figure(what: str, ours: float, own: float) -> Figure:
    return Figure(
        part=PART,
        what=what,
        unit="s",
        ours=(ours,),
        baseline_name=f"the store's own copies and deletions, {AT_ONCE} at once",
        baseline=(own,),
        better="less",
        goal=Goal("ratio", "at most", GOAL),
        notes=(
            f"objects of {BATCH_PACKETS / 50:g} s; one merge, from the request to the end of its operation",
        ),
    )


def _merge_s(workbench: Workbench, api: Service, source: str, target: str, count: int) -> float:
    body = {"sources": [source], "target": target, "delete_sources": True}
    began = time.perf_counter()
    operation = _ask(workbench, api, "POST", f"/v1/users/{UID}/conversations:merge", body)
    while not operation["done"]:
        if time.perf_counter() - began > PATIENCE_S:
            raise BenchError(f"the merge does not end: {operation}")
        time.sleep(STEP_S)  # between two looks
        operation = _ask(workbench, api, "GET", f"/v1/operations/{operation['id']}")
    took_s = time.perf_counter() - began
    told = _ask(workbench, api, "GET", conversation(target))
    if operation["error"] or told["chunks"] != count + 1:
        raise BenchError(f"the merge failed: {operation}, {told}")
    return took_s


def _ask(workbench: Workbench, api: Service, method: str, path: str, body: Any = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {workbench.service_token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{LOOPBACK}:{api.port}{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        told: dict[str, Any] = json.loads(answer.read())
    return told


async def _copies_s(url: str, cid: str) -> float:
    """Copies all objects of a conversation under other names, and deletes these."""
    store = open_store(url)
    names = [info.name async for info in store.list(f"chunks/{UID}/{cid}/")]
    began = time.perf_counter()
    await _each(names, lambda name: store.copy(name, f"copies/{name}"))
    await _each(names, lambda name: _delete(store, f"copies/{name}"))
    took_s = time.perf_counter() - began
    await store.close()
    if not names:
        raise BenchError(f"{url} has no {cid}")
    return took_s


async def _delete(store: Store, name: str) -> None:
    await store.delete(name)


async def _each(names: list[str], call: Any) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with room:
            await call(name)

    await asyncio.gather(*(one(name) for name in names))
