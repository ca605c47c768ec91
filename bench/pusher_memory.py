"""Memory of a pusher that finds ten thousand conversations waiting, a minute each: at its highest while it drains them, beside a tenth of them.

It is stopped (SIGSTOP) while they are written, so that it finds them all at once. Bounded by concurrency means: ten times as many cost no more.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from audiobus import Conversation
from bench import backlog, memory
from bench.bucket import DELAY_MS, Bucket
from bench.figure import Figure, Goal
from bench.scale import Scale
from bench.workbench import Workbench

PART = "pusher-memory"
GOAL_MIB = 200
FEWER = 10
DRAIN_S = 900.0
MIB = 1024 * 1024


def measure(scale: Scale) -> Iterator[Figure]:
    """MiB, resident."""
    few_idle, few = _highest(scale.waiting // FEWER)
    many_idle, many = _highest(scale.waiting)
    notes = (
        f"the highest resident size of the process (VmHWM), from its start to the end of the drain; every bucket call takes {DELAY_MS} ms",
        f"idle it had {many_idle / MIB:.0f} MiB",
    )
    yield Figure(
        part=PART,
        what=f"memory with {scale.waiting:,} conversations of a minute waiting",
        unit="MiB",
        ours=(many / MIB,),
        baseline_name=f"with {scale.waiting // FEWER:,}",
        baseline=(few / MIB,),
        better="less",
        goal=Goal("value", "at most", GOAL_MIB),
        notes=notes,
    )
    yield Figure(
        part=PART,
        what="the same above idle",
        unit="MiB",
        ours=((many - many_idle) / MIB,),
        baseline_name=f"with {scale.waiting // FEWER:,}",
        baseline=((few - few_idle) / MIB,),
        better="less",
    )


def _highest(count: int) -> tuple[int, int]:
    """Resident bytes of a new pusher, idle and at the most."""
    with Workbench() as workbench:
        bucket = Bucket(workbench)
        pusher = workbench.service("pusher", port=0, **bucket.settings).process
        idle = memory.of(pusher.pids).rss
        pusher.pause()
        conversations = [Conversation(f"bench-{index}", f"c{index}") for index in range(count)]
        asyncio.run(backlog.fill(workbench.redis_url, conversations))
        pusher.go_on()
        pusher.until(lambda: bucket.counts["objects"] >= count, "the end of the drain", DRAIN_S)
        highest = int(Path(f"/proc/{pusher.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return idle, highest
