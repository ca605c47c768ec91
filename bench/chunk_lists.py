"""Listing the chunks of a conversation that has 10,000: the first page of 1,000, one that follows, and all pages one after another.

Baselines: the store's own listing of the same names, in this process; for the bucket with a delay the same bucket without one.
"""

import asyncio
import json
import os
import time
import urllib.request
from collections.abc import Iterator

from audiostore import open_store
from bench import stored_recording
from bench.bucket import DELAY_MS, Bucket
from bench.fetching import conversation
from bench.figure import Figure, Goal
from bench.process import BenchError
from bench.scale import Scale
from bench.stored_recording import UID
from bench.workbench import Service, Workbench
from tapedeck.up.ports import LOOPBACK

PART = "chunks"
CID = "many"
BATCH_PACKETS = 50
PAGE = 1_000
GOAL_MS = 200
LATENCY_GOAL = 2


def measure(scale: Scale) -> Iterator[Figure]:
    """Milliseconds."""
    with Workbench() as workbench:
        stored_recording.store(workbench.store, CID, scale.chunks, BATCH_PACKETS)
        api = workbench.service("storage_api")
        yield from _figures(workbench, api, f"file://{workbench.store}", "a folder", scale)
        api.process.end()
        bucket = Bucket(workbench, 0, filled=True)
        os.environ["STORAGE_EMULATOR_HOST"] = bucket.endpoint
        wholes = []
        for delay_ms in (0, DELAY_MS):
            bucket.delay(delay_ms)
            api = workbench.service("storage_api", port=0, **bucket.settings)
            where = f"a bucket that takes {delay_ms} ms"
            figures = tuple(_figures(workbench, api, bucket.settings["TAPEDECK_STORE_URL"], where, scale))
            wholes.append(figures[-1].ours)
            yield from figures
            api.process.end()
        yield Figure(
            part=PART,
            what=f"all {scale.chunks:,} in a bucket that takes {DELAY_MS} ms for each call",
            unit="ms",
            ours=wholes[1],
            baseline_name="the same bucket without a delay",
            baseline=wholes[0],
            better="less",
            goal=Goal("ratio", "at most", LATENCY_GOAL),
        )
        del os.environ["STORAGE_EMULATOR_HOST"]


def _figures(workbench: Workbench, api: Service, url: str, where: str, scale: Scale) -> Iterator[Figure]:
    first, later, whole, own = [], [], [], []
    cold_ms = _page(workbench, api, None)[0]
    for _ in range(scale.few_rounds):
        own.append(asyncio.run(_own_ms(url)))
        ms, token = _page(workbench, api, None)
        first.append(ms)
        pages = 1
        while token is not None:
            more_ms, token = _page(workbench, api, token)
            ms += more_ms
            pages += 1
        whole.append(ms)
        later.append((ms - first[-1]) / max(1, pages - 1))
    yield _figure(
        f"the first {PAGE:,} of {scale.chunks:,} in {where}, never seen before", (cold_ms,), own[:1]
    )
    yield _figure(f"the first {PAGE:,} of {scale.chunks:,} in {where}", tuple(first), own)
    yield _figure(f"a page of {PAGE:,} after the first in {where}, on average", tuple(later), own)
    pages = -(-scale.chunks // PAGE)
    yield _figure(f"all {scale.chunks:,} in {where}, {pages} pages one after another", tuple(whole), own)


def _figure(what: str, ours: tuple[float, ...], own: list[float]) -> Figure:
    return Figure(
        part=PART,
        what=what,
        unit="ms",
        ours=ours,
        baseline_name="the store's own listing, once",
        baseline=tuple(own),
        better="less",
        goal=Goal("value", "at most", GOAL_MS),
        notes=(f"objects of {BATCH_PACKETS / 50:g} s",),
    )


def _page(workbench: Workbench, api: Service, token: str | None) -> tuple[float, str | None]:
    """Milliseconds, and the token of the next page."""
    query = f"page_size={PAGE}" + (f"&page_token={token}" if token else "")
    url = f"http://{LOOPBACK}:{api.port}{conversation(CID)}/chunks?{query}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {workbench.service_token}"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as answer:
        body = answer.read()
    ms = (time.perf_counter() - began) * 1000
    page = json.loads(body)
    if not page["chunks"] or any(chunk["unreadable"] for chunk in page["chunks"]):
        raise BenchError(f"{url}: chunks are missing")
    following: str | None = page["next_page_token"]
    return ms, following


async def _own_ms(url: str) -> float:
    store = open_store(url)
    began = time.perf_counter()
    count = 0
    async for _ in store.list(f"chunks/{UID}/{CID}/"):
        count += 1
    ms = (time.perf_counter() - began) * 1000
    await store.close()
    if not count:
        raise BenchError(f"{url} lists nothing")
    return ms
