"""CPU of the pusher for a batch: a backlog of full buffers into a `file://` store, and into a bucket like Google's that takes 50 ms for everything.

The process is stopped (SIGSTOP) while the buffers are filled, so that its CPU time from SIGCONT until the last hint is acknowledged is
that of the drain alone: hints, leases, reading and checking the chunks, cutting, building, storing, finishing. Each conversation has one
batch and is over with it: the dearest kind, for its first look into the bucket, and seeing that it is over, are in it.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from audiobus import Conversation
from audiostore.batch import Batch, batch_file
from bench import backlog, speech
from bench.bucket import DELAY_MS, NAME, Bucket
from bench.figure import Figure, Goal
from bench.process import ROOT, BenchError
from bench.scale import Scale
from bench.workbench import Service, Workbench

PART = "pusher"
UID = "bench"
START_MS = 1_700_000_000_000
DRAIN_S = 120.0
GOAL = Goal("value", "at most", 8)


def measure(scale: Scale) -> Iterator[Figure]:
    """Milliseconds of CPU for a batch of 60 s (3,000 packets)."""
    yield from _to_files(scale)
    yield from _to_bucket(scale)


def _to_files(scale: Scale) -> Iterator[Figure]:
    ours: list[float] = []
    bare: list[float] = []
    copied: list[float] = []
    batches = [next(speech.batches(f"b{n}", START_MS + n, START_MS + n, 1)) for n in range(scale.batches)]
    with Workbench() as workbench:
        pusher = workbench.service("pusher")

        def stored(name: str) -> int:
            return sum(1 for _ in (workbench.store / "chunks" / UID).glob(f"{name}-*/*.batch.bin"))

        _drain(workbench, pusher, "warm-up", 2, stored)
        for number in range(scale.rounds):
            ours.append(_drain(workbench, pusher, f"round-{number}", scale.batches, stored))
            bare.append(_bare(batches))
            copied.append(_copy(workbench.folder / f"copies-{number}", batches))
    size = len(batch_file(batches[0]).data) // 1000
    notes = (
        f"{scale.batches} conversations with a full batch each (60 chunks, {size} kB as a file) a round",
        "user and system time of the pusher's process; Redis and the bucket are not counted",
    )
    baselines = {
        "bare build: file and metadata, from packets in memory": bare,
        "plain copy: the same files written with fsync": copied,
    }
    for name, baseline in baselines.items():
        yield Figure(
            part=PART,
            what="CPU a batch, to file://",
            unit="ms",
            ours=tuple(ours),
            baseline_name=name,
            baseline=tuple(baseline),
            better="less",
            goal=GOAL,
            notes=notes,
        )


def _to_bucket(scale: Scale) -> Iterator[Figure]:
    ours: list[float] = []
    bare: list[float] = []
    with Workbench() as workbench:
        bucket = Bucket(workbench)
        pusher = workbench.service("pusher", port=0, **bucket.settings)
        before = 0

        def stored(_: str) -> int:
            return bucket.counts["objects"] - before

        _drain(workbench, pusher, "warm-up", 40, stored)
        for number in range(scale.rounds):
            before = bucket.counts["objects"]
            ours.append(_drain(workbench, pusher, f"round-{number}", scale.batches, stored))
            bare.append(bare_upload_ms(bucket, scale.batches, f"bare-{number}"))
    yield Figure(
        part=PART,
        what=f"CPU a batch, to a bucket like Google's that takes {DELAY_MS} ms",
        unit="ms",
        ours=tuple(ours),
        baseline_name="bare build and upload by google-cloud-storage, in threads",
        baseline=tuple(bare),
        better="less",
        goal=GOAL,
        notes=(
            "the bucket is `bench.bucket_server`, a process of its own: the JSON API over plain HTTP, without TLS",
        ),
    )


def bare_upload_ms(bucket: Bucket, count: int, prefix: str) -> float:
    """CPU of building and uploading a batch, by nothing but the client library, in a new process."""
    command = [sys.executable, "-m", "bench.bare_upload", bucket.endpoint, NAME, str(count), prefix]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise BenchError(f"the bare upload failed:\n{ended.stderr[-2000:]}")
    return float(json.loads(ended.stdout)["ms"])


def _drain(
    workbench: Workbench, pusher: Service, name: str, count: int, stored: Callable[[str], int]
) -> float:
    """CPU milliseconds a batch."""
    process = pusher.process
    process.pause()
    conversations = [Conversation(UID, f"{name}-{index}") for index in range(count)]
    asyncio.run(backlog.fill(workbench.redis_url, conversations))
    cpu_s = process.cpu_s
    process.go_on()
    process.until(
        lambda: asyncio.run(backlog.left(workbench.redis_url)) == 0, "the end of the drain", DRAIN_S
    )
    cpu_s = process.cpu_s - cpu_s
    if (objects := stored(name)) != count:
        raise BenchError(f"{count} full buffers were drained into {objects} objects")
    return cpu_s * 1000 / count


def _bare(batches: list[Batch]) -> float:
    began = time.thread_time()
    for batch in batches:
        batch_file(batch)
    return (time.thread_time() - began) * 1000 / len(batches)


def _copy(folder: Path, batches: list[Batch]) -> float:
    files = [batch_file(batch).data for batch in batches]
    folder.mkdir()
    began = time.thread_time()
    for index, data in enumerate(files):
        with (folder / str(index)).open("wb") as file:
            file.write(data)
            os.fsync(file.fileno())
    return (time.thread_time() - began) * 1000 / len(files)
