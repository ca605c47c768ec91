"""What a live conversation takes in Redis: everything that it keeps there, on average over the minute in which its batch fills.

Beside it the same minutes as raw PCM, the way a service keeps them that encodes only when it stores.
"""

import time
from collections.abc import Iterator
from statistics import fmean

import redis

from bench import speech
from bench.figure import Figure
from bench.load import start_load
from bench.scale import Scale
from bench.workbench import Workbench
from tapedeck.up.ports import LOOPBACK

PART = "redis-memory"
FULL_AFTER_S = 125.0
"""By then each conversation's batch fills and is stored at a phase of its own (the first one is cut to fit it)."""
STEP_S = 2.0
PCM_BYTES_A_SECOND = speech.SAMPLE_RATE * 2
BATCH_SECONDS = 60
KIB = 1024


def measure(scale: Scale) -> Iterator[Figure]:
    """Memory of Redis above what the idle system takes, for each live conversation: mean and highest of the samples."""
    with Workbench() as workbench, redis.Redis(LOOPBACK, workbench.redis_port) as client:
        services = {name: workbench.service(name) for name in ("listen", "pusher")}
        time.sleep(STEP_S)  # until both have written what they keep there themselves
        idle = _used(client)
        load = start_load(workbench, services["listen"].port, scale.sockets)
        filling = FULL_AFTER_S if scale.redis_seconds >= BATCH_SECONDS else 0.0
        time.sleep(filling)  # until each conversation fills batches at a phase of its own
        samples, until = [], time.monotonic() + max(scale.redis_seconds / 2, STEP_S)
        while time.monotonic() < until:
            time.sleep(STEP_S)  # between two looks
            samples.append(_used(client) - idle)
        load.sent()  # raises where the load could not be kept up
        load.stop()
        pcm = _raw_pcm(client)
    for what, value in (("on average", fmean(samples)), ("at most", max(samples))):
        yield Figure(
            part=PART,
            what=f"memory of Redis for a live conversation, {what}",
            unit="KiB",
            ours=(value / scale.sockets / KIB,),
            baseline_name="half a minute of raw PCM, in a stream, a chunk a second",
            baseline=(pcm / KIB,),
            better="less",
            notes=(
                f"{scale.sockets} conversations, Opus packets of 20 ms at 24 kbit/s, batches of 60 s",
                f"{len(samples)} samples of used_memory, {filling:g} s after the last socket opened",
                "buffers of the append-only file are in it",
            ),
        )


def _used(client: "redis.Redis") -> int:
    return int(client.info("memory")["used_memory"])


def _raw_pcm(client: "redis.Redis") -> int:
    """Bytes that a stream takes with half a batch of raw PCM: what one has on average, while batches of a minute fill."""
    before = _used(client)
    for second in range(BATCH_SECONDS // 2):
        client.xadd("raw", {"pcm": second.to_bytes(2, "big") * (PCM_BYTES_A_SECOND // 2)})
    return _used(client) - before
