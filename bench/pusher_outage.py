"""An outage of the bucket: every conversation has ten minutes waiting and goes on recording; from when the bucket is back until all of that is stored.

The machine's memory bounds how many there are, so what ten thousand would take is worked out from the CPU of a batch. The time is that of the wall, and those
who record, Redis and the bucket share the cores.
"""

import time
from collections.abc import Iterator

from bench.bucket import Bucket
from bench.figure import Figure, Goal
from bench.recorders_process import LiveLoad
from bench.scale import Scale
from bench.workbench import Workbench

PART = "pusher-outage"
STEP_S = 0.5
DRAIN_S = 900.0
CONVERSATIONS = 10_000
OUTAGE_S = 600
CORES = (2, 3, 4, 8)


def measure(scale: Scale) -> Iterator[Figure]:
    """Seconds, and audio stored a CPU second."""
    with Workbench() as workbench:
        bucket = Bucket(workbench)
        pusher = workbench.service("pusher", port=0, **bucket.settings).process
        bucket.leave()
        load = LiveLoad(workbench, scale.outage, backlog_seconds=scale.outage_seconds)
        appended = load.told().appended
        before, cpu_s, back = bucket.counts, pusher.cpu_s, time.monotonic()
        bucket.come_back()
        pusher.until(lambda: bucket.counts["objects"] > before["objects"], "the first batch", DRAIN_S)
        noticed_s = time.monotonic() - back
        pusher.until(lambda: _drained(load), "the end of the drain", DRAIN_S)
        told = load.told()
        spent_s = pusher.cpu_s - cpu_s
        batches = bucket.counts["objects"] - before["objects"]
        load.stop()
    assert told.drained_at is not None
    lasted_s = told.drained_at - back
    live_s = told.appended - appended
    audio_s = scale.outage * scale.outage_seconds
    a_batch_ms = spent_s * 1000 / batches
    speed = 60 / a_batch_ms * 1000
    notes = (
        f"{scale.outage} conversations with {scale.outage_seconds} s each, which go on recording; {live_s:,} s of live audio came in meanwhile",
        f"{batches:,} batches until it was drained; the first was stored {noticed_s:.1f} s after the bucket was back",
        f"{a_batch_ms:.1f} ms of CPU a batch: {CONVERSATIONS:,} conversations of {OUTAGE_S // 60} minutes, recording on, would take "
        + ", ".join(f"{_minutes(speed * cores)} on {cores} cores" for cores in CORES)
        + " (worked out; one batch is a minute)",
    )
    yield Figure(
        part=PART,
        what="draining after an outage, while all go on recording",
        unit="s",
        ours=(lasted_s,),
        baseline_name="recording it",
        baseline=(float(scale.outage_seconds),),
        better="less",
        goal=Goal("ratio", "at most", 1),
        notes=notes,
    )
    yield Figure(
        part=PART,
        what="audio stored while draining",
        unit="s of audio a CPU second",
        ours=(speed,),
        baseline_name=f"what {CONVERSATIONS:,} live conversations bring a second",
        baseline=(float(CONVERSATIONS),),
        better="more",
        notes=(f"{audio_s:,} s waited when the bucket came back",),
    )


def _drained(load: LiveLoad) -> bool:
    time.sleep(STEP_S)  # between two looks
    return load.told().backlog_left == 0


def _minutes(speed: float) -> str:
    """How long the goal's backlog takes, while live audio comes, by pushers that store so many seconds of audio a second."""
    left = speed - CONVERSATIONS
    return "for ever" if left <= 0 else f"{CONVERSATIONS * OUTAGE_S / left / 60:.0f} min"
