"""How much is measured: the whole, or with `--quick` enough to see that everything works. Owns these numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of all parts."""

    rounds: int
    """Interleaved rounds of every part but `redis`."""
    codec_seconds: int
    """Audio that a round encodes, and ten times as much that it decodes."""
    sockets: int
    """Of the parts `redis` and `shells`."""
    listen_sockets: int
    """Of the part `listen`, in a round."""
    few_rounds: int
    """Of the part `sockets`."""
    many_sockets: int
    """That send, of the part `sockets`."""
    idle_sockets: int
    pcm_sockets: int
    listen_seconds: float
    """Measured time of each server in a round."""
    redis_seconds: float
    """Recording time over which commands are counted."""
    batches: int
    """Full buffers that a round drains."""
    hour_batches: int
    """Batches of 60 s in the recording that is downloaded."""
    day_batches: int
    """Of a long recording."""
    chunks: int
    """Objects of the conversation that is listed."""
    live: int
    """Conversations of the part `pusher-live`."""
    live_batch_seconds: float
    """Of its batches."""
    waiting: int
    """Conversations of the part `pusher-memory`."""
    outage: int
    """Conversations of the part `pusher-outage`."""
    outage_seconds: int
    """What each of them has waiting."""


FULL = Scale(
    rounds=5,
    codec_seconds=20,
    sockets=100,
    listen_sockets=200,
    few_rounds=3,
    many_sockets=500,
    idle_sockets=1_000,
    pcm_sockets=20,
    listen_seconds=8.0,
    redis_seconds=120.0,
    batches=100,
    hour_batches=60,
    day_batches=1_440,
    chunks=10_000,
    live=500,
    live_batch_seconds=60.0,
    waiting=10_000,
    outage=200,
    outage_seconds=600,
)
QUICK = Scale(
    rounds=2,
    codec_seconds=4,
    sockets=50,
    listen_sockets=50,
    few_rounds=2,
    many_sockets=100,
    idle_sockets=200,
    pcm_sockets=5,
    listen_seconds=2.0,
    redis_seconds=15.0,
    batches=20,
    hour_batches=6,
    day_batches=60,
    chunks=1_500,
    live=50,
    live_batch_seconds=5.0,
    waiting=100,
    outage=10,
    outage_seconds=120,
)
