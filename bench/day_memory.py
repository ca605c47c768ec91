"""Memory of storage-api while it sends a whole day as `wav`, above what it holds when it is idle.

Baseline: the same for a minute. Owns the sampling.
"""

import threading
from collections.abc import Iterator

from bench import memory, stored_recording
from bench.fetching import conversation, fetch
from bench.figure import Figure, Goal
from bench.process import BenchError
from bench.scale import Scale
from bench.workbench import Service, Workbench

PART = "download-memory"
GOAL_MIB = 32
EVERY_S = 0.05
MIB = 1024 * 1024
PAGE_BYTES = 4096
"""The least that is told: a minute may be over before anybody looks."""


def measure(scale: Scale) -> Iterator[Figure]:
    """MiB above idle, at the most."""
    with Workbench() as workbench:
        stored_recording.store(workbench.store, "day", scale.day_batches)
        stored_recording.store(workbench.store, "minute", 1)
        took = {cid: _above_idle(workbench, cid) for cid in ("minute", "day")}
    yield Figure(
        part=PART,
        what=f"{scale.day_batches / 60:g} hours as wav",
        unit="MiB above idle",
        ours=(took["day"],),
        baseline_name="a minute",
        baseline=(took["minute"],),
        better="less",
        goal=Goal("value", "at most", GOAL_MIB),
        notes=(
            f"resident and nobody else's (USS), looked at every {EVERY_S * 1000:.0f} ms",
            "idle: a new process that has answered one request of its kind, for a second of audio, so that its codecs are loaded",
        ),
    )


def _above_idle(workbench: Workbench, cid: str) -> float:
    """Of a process of its own."""
    api = workbench.service("storage_api")
    path = f"{conversation(cid)}/audio?format=wav"
    first_s = stored_recording.START_MS // 1000
    second = f"{conversation('minute')}/audio?format=wav&start={first_s}&end={first_s + 1}"
    fetch(api.process, api.port, second, workbench.service_token)
    idle = memory.of(api.process.pids).uss
    most, over = [idle], threading.Event()
    watching = threading.Thread(target=_watch, args=(api, most, over))
    watching.start()
    try:
        answer = fetch(api.process, api.port, path, workbench.service_token)
    finally:
        over.set()
        watching.join()
    if answer.size < 59 * 32_000:
        raise BenchError(f"{cid} was only {answer.size} bytes")
    api.process.end()
    return max(PAGE_BYTES, max(most) - idle) / MIB


def _watch(api: Service, seen: list[int], over: threading.Event) -> None:
    while not over.wait(EVERY_S):
        seen.append(memory.of(api.process.pids).uss)
