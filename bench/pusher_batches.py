"""Batches a second of one core of the pusher: a backlog of full buffers into a `file://` store.

The process is stopped (SIGSTOP) while the buffers are filled, so that its CPU time from SIGCONT until the last hint is acknowledged is
that of the drain alone: hints, leases, reading and checking the chunks, cutting, building, storing with fsync, finishing.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

from audiobus import Conversation
from audiostore.batch import Batch, batch_file
from bench import backlog, speech
from bench.figure import Figure
from bench.process import BenchError
from bench.scale import Scale
from bench.workbench import Service, Workbench

PART = "pusher"
UID = "bench"
START_MS = 1_700_000_000_000
DRAIN_S = 120.0


def measure(scale: Scale) -> Iterator[Figure]:
    """Batches of 60 s (3,000 packets) a CPU second."""
    ours: list[float] = []
    bare: list[float] = []
    copied: list[float] = []
    batches = [speech.batches(f"b{n}", START_MS + n, START_MS + n, 1)[0] for n in range(scale.batches)]
    with Workbench() as workbench:
        pusher = workbench.service("pusher")
        _drain(workbench, pusher, "warm-up", 2)
        for number in range(scale.rounds):
            ours.append(_drain(workbench, pusher, f"round-{number}", scale.batches))
            bare.append(_bare(batches))
            copied.append(_copy(workbench.folder / f"copies-{number}", batches))
    size = len(batch_file(batches[0]).data) // 1000
    notes = (
        f"{scale.batches} conversations with a full batch each (60 chunks, {size} kB as a file) a round",
        "user and system time of the pusher's process, so `a CPU second` is a second of one core; Redis is not counted",
    )
    baselines = {
        "bare build: file and metadata, from packets in memory": bare,
        "plain copy: the same files written with fsync": copied,
    }
    for name, baseline in baselines.items():
        yield Figure(
            part=PART,
            what="draining full buffers to file://",
            unit="batches a CPU second",
            ours=tuple(ours),
            baseline_name=name,
            baseline=tuple(baseline),
            better="more",
            notes=notes,
        )


def _drain(workbench: Workbench, pusher: Service, name: str, count: int) -> float:
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
    stored = sum(1 for _ in (workbench.store / "chunks" / UID).glob(f"{name}-*/*.batch.bin"))
    if stored != count:
        raise BenchError(f"{count} full buffers were drained into {stored} objects")
    return count / cpu_s


def _bare(batches: list[Batch]) -> float:
    began = time.thread_time()
    for batch in batches:
        batch_file(batch)
    return len(batches) / (time.thread_time() - began)


def _copy(folder: Path, batches: list[Batch]) -> float:
    files = [batch_file(batch).data for batch in batches]
    folder.mkdir()
    began = time.thread_time()
    for index, data in enumerate(files):
        with (folder / str(index)).open("wb") as file:
            file.write(data)
            os.fsync(file.fileno())
    return len(files) / (time.thread_time() - began)
