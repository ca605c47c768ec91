"""What a socket costs `listen` besides its messages: memory, the delay of its acks; and how many fit. Owns the order."""

from collections.abc import Iterator

from bench import ack_delay, pcm_sessions, socket_memory, two_processes
from bench.figure import Figure
from bench.scale import Scale

PART = "sockets"


def measure(scale: Scale) -> Iterator[Figure]:
    """All of them."""
    for module in (ack_delay, two_processes, pcm_sessions, socket_memory):
        yield from module.measure(scale)
