"""What a live conversation costs the pusher: many of them record, a chunk a second each, and every bucket call takes 50 ms.

First two minutes in which each comes to its own moment of the minute, then CPU is taken over some whole batches of each, then, for as long again, the
commands that the pusher sends to Redis and to the bucket are counted. How many a core carries is worked out from that CPU: the two cores of a small machine
would not bear five thousand with those who record them.
"""

import time
from collections import Counter
from collections.abc import Iterator

from bench.bucket import DELAY_MS, Bucket
from bench.figure import Figure, Goal
from bench.monitor import Monitor
from bench.process import BenchError
from bench.pusher_batches import bare_upload_ms
from bench.recorders_process import LiveLoad
from bench.scale import Scale
from bench.workbench import Service, Workbench

PART = "pusher-live"
GOAL_CONVERSATIONS = 5_000
GOAL_COMMANDS = 11
IDLE_S = 5.0
SETTLE_S = 5.0
STEP_S = 0.5
TOP = 20
CENSUS = frozenset({"look", "HMGET", "XRANGE", "HKEYS", "ZSCAN", "SCAN"})
"""What a batch of a live conversation never needs: what is read for it comes with `take`."""


def measure(scale: Scale) -> Iterator[Figure]:
    """Conversations a core, and commands a batch."""
    with Workbench() as workbench:
        bucket = Bucket(workbench)
        batch_seconds = scale.live_batch_seconds
        pusher = workbench.service(
            "pusher", port=0, **bucket.settings, TAPEDECK_BATCH_SECONDS=str(batch_seconds)
        )
        bare = [bare_upload_ms(bucket, scale.batches, "bare-before")]
        with Monitor(workbench.redis_port) as monitor:
            idle_cpu = pusher.process.cpu_s
            idle = _drains(_sent(monitor, pusher, IDLE_S)).total() / IDLE_S
            idle_cpu = (pusher.process.cpu_s - idle_cpu) / IDLE_S
        load = LiveLoad(workbench, scale.live, batch_seconds=batch_seconds)
        # Each first batch is shortened, by a hash: from the second on they fall due at all moments of the minute. The first ones fall due
        # together, cost a listing, and are no batches of a live conversation.
        time.sleep(2 * batch_seconds + SETTLE_S)  # all have their first batch and their second
        ms: list[float] = []
        late_s = 0.0
        objects = bucket.counts["objects"]
        for _ in range(scale.few_rounds):
            cpu_s, before = pusher.process.cpu_s, bucket.counts["objects"]
            time.sleep(batch_seconds)  # the length of a round
            batches = bucket.counts["objects"] - before
            if not batches:
                raise BenchError("no batch was stored")
            ms.append((pusher.process.cpu_s - cpu_s - idle_cpu * batch_seconds) * 1000 / batches)
            late_s = max(late_s, load.told().behind_s)
        objects = bucket.counts["objects"] - objects
        bare += [
            bare_upload_ms(bucket, scale.batches, f"bare-{number}") for number in range(scale.few_rounds - 1)
        ]
        counts = bucket.counts
        with Monitor(workbench.redis_port) as monitor:
            commands = _sent(monitor, pusher, batch_seconds)
        counts = bucket.counts - counts
        load.told()
        load.stop()
    rate = scale.live / batch_seconds
    notes = (
        f"{scale.live} conversations, {scale.few_rounds} times {batch_seconds:g} s after the first {2 * batch_seconds + SETTLE_S:g} s",
        f"live audio came up to {late_s:.1f} s late: the same cores carry those who record, Redis and the bucket",
        f"{objects} batches, {rate:.0f} a second, were stored meanwhile",
        f"the bucket is `bench.bucket_server`: every answer takes {DELAY_MS} ms",
        "a core's conversations are worked out from the CPU of these (user and system time of the pusher's process): one batch a minute each",
        f"what it takes without any conversation, {idle_cpu * 1000:.0f} ms of CPU a second, is not in a batch and leaves that much less of a core",
    )
    yield Figure(
        part=PART,
        what="live conversations a core carries",
        unit="conversations",
        ours=tuple(60_000 * (1 - idle_cpu) / one for one in ms),
        baseline_name="bare build and upload by google-cloud-storage, in threads",
        baseline=tuple(60_000 / one for one in bare),
        better="more",
        goal=Goal("value", "at least", GOAL_CONVERSATIONS),
        notes=notes,
    )
    yield Figure(
        part=PART,
        what="CPU a batch of a live conversation",
        unit="ms",
        ours=tuple(ms),
        baseline_name="bare build and upload by google-cloud-storage, in threads",
        baseline=tuple(bare),
        better="less",
        goal=Goal("value", "at most", 8),
    )
    batches = counts["objects"]
    mine = _drains(commands).total() - idle * batch_seconds
    books = (commands - _drains(commands)).total() / batch_seconds
    yield Figure(
        part=PART,
        what="Redis commands a batch",
        unit="commands",
        ours=(mine / batches,),
        baseline_name="appends that brought its audio",
        baseline=(scale.live * batch_seconds / batches,),
        better="less",
        goal=Goal("value", "at most", GOAL_COMMANDS),
        notes=(
            "commands: what the pusher sends, counted by MONITOR without what scripts run inside",
            f"commands: its heartbeat, {idle:.1f} a second without any conversation, is taken off",
            f"commands: {books:.1f} a second are the census', which reads all conversations in turn; they are not a batch's",
            "commands: "
            + ", ".join(f"{name} {times / batches:.2f}" for name, times in commands.most_common(TOP)),
        ),
    )
    yield Figure(
        part=PART,
        what="puts a batch",
        unit="puts",
        ours=(counts["put"] / batches,),
        baseline_name="objects that came of them",
        baseline=(1.0,),
        better="less",
        goal=Goal("value", "at most", 1),
        notes=(
            f"other requests to the bucket meanwhile: {counts['list']} lists, {counts['get']} gets, {counts['delete']} deletes",
        ),
    )


def _drains(sent: Counter[str]) -> Counter[str]:
    """Without what the census reads, whatever is drained."""
    return Counter({name: times for name, times in sent.items() if name not in CENSUS})


def _sent(monitor: Monitor, pusher: Service, seconds: float) -> Counter[str]:
    """What the pusher sends in that time. Its connections are looked for all along: the pool opens them when it needs them."""
    before, ports = monitor.counts, set(pusher.process.ports)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(STEP_S, left))  # between two looks
        ports |= pusher.process.ports
    sent: Counter[str] = Counter()
    for (port, command), times in (monitor.counts - before).items():
        if port in ports:
            sent[command] += times
    return sent
