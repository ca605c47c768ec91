"""What the code under test takes from its surroundings, under the rule of the seed: clocks, chance, and the ear of the seams.

Everything is put back afterwards. `time` and `random` are changed where they are looked up, so that no line of the product knows. How a
seam sounds (`pusher.seam`) costs ten times what the rest of a batch costs and has no part in what is proved here: which entry
a batch ends with is left to chance instead, which meets more places than real speech does. What a pusher waits for between two
looks, two tries and two moves is shorter, as all other times of a world are (`services.Batches`), and a reader believes at no time that an object
that it could not read is the one that has its name now.
"""

from __future__ import annotations

import random
import secrets
import sys
import threading
import time
import uuid
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import audiobus.bus
import audiobus.connection
import listen.backend
import pusher.arrived
import pusher.batch_builder
import pusher.buckets
import pusher.buffer
import pusher.circuit
import pusher.cutter
import pusher.mover
import pusher.next_look
import pusher.patience
import pusher.prober
import pusher.retries
import pusher.scheduler
import pusher.second_try
import pusher.sweeper
import storage_api.verdicts
from audiobus.errors import BadEntryError
from audiocodec.span import PREROLL_SAMPLES
from pusher.seam import last_packets
from tapedeck_testing.simulation.virtual_loop import PROCESS, START_S, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from audiobus.entry import Entry
    from pusher.arrived import Arrived
    from tapedeck_testing.simulation.chance import Chance

EPOCH_MS: Final = 1_764_000_000_000
"""When the world begins, unix ms."""

UNREADABLE: Final = "chunk: unreadable to a build"
ACTIVE_MS: Final = 6_000
"""A conversation with a buffer is looked at so often."""
MOST_RETRY_MS: Final = 20_000
"""The longest pause between two tries to store."""
UNTIL_MS: Final = 45_000
"""What was deleted is swept so long, and what a try of a bucket put is taken away so long: no put of a world lands later."""


def unix_ms(loop: VirtualLoop, later_s: float = 0.0) -> int:
    """The true time, or that of a moment to come."""
    return EPOCH_MS + int((loop.time() + later_s - START_S) * 1000)


class WallClock:
    """Listen's steady clock, one for all processes: each sees that of its own machine, which nobody sets here."""

    def __init__(self, time_ns: Callable[[], int]) -> None:
        self._time_ns = time_ns

    def now_ms(self) -> int:
        """Unix ms."""
        return self._time_ns() // 1_000_000


def _here(simulated: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    """The one for this thread, the other for all others: what they do meanwhile is real."""
    world = threading.get_ident()

    def either(*args: Any, **options: Any) -> Any:
        return (simulated if threading.get_ident() == world else real)(*args, **options)

    return either


@contextmanager
def surroundings(loop: VirtualLoop, chance: Chance, first_walk_s: float = 30.0) -> Iterator[None]:
    """Clocks and chance of a world, for as long as it runs. `first_walk_s`: within so long a pusher walks over all buffers."""

    def time_ns() -> int:
        return (unix_ms(loop) + PROCESS.get().skew_ms) * 1_000_000

    def token_bytes(count: int = 32) -> bytes:
        return random.randbytes(count)

    def token_hex(count: int = 32) -> str:
        return random.randbytes(count).hex()

    def read_entry(conversation_id: str, entry: Entry) -> Arrived:
        build = PROCESS.get().name.partition(".")[0]
        if entry.chunk is not None and chance.singles_out(UNREADABLE, f"{build} {entry.id}"):
            raise BadEntryError("chunk entry: this build does not know what a later one wrote")
        return pusher.arrived.read_entry(conversation_id, entry)

    changes = [
        (time, "time", _here(lambda: time_ns() / 1e9, time.time)),
        (time, "time_ns", _here(time_ns, time.time_ns)),
        (time, "monotonic", _here(loop.time, time.monotonic)),
        (time, "perf_counter", _here(loop.time, time.perf_counter)),
        (time, "monotonic_ns", _here(lambda: int(loop.time() * 1e9), time.monotonic_ns)),
        (listen.backend, "_clock", WallClock(time_ns)),
        (audiobus.bus, "open_client", _here(_no_client, audiobus.connection.open_client)),
        (uuid, "uuid4", _here(lambda: uuid.UUID(int=random.getrandbits(128), version=4), uuid.uuid4)),
        (pusher.buckets, "AWAY_MS", 4_000),
        (pusher.buckets, "SPREAD_MS", 500),
        (pusher.circuit, "PAUSED_PROBE_EVERY_MS", 4_000),
        (pusher.second_try, "AGAIN_MS", 5_000),
        (pusher.sweeper, "UNTIL_MS", UNTIL_MS),
        (pusher.sweeper, "SOON_MS", 3_000),
        (pusher.sweeper, "AGAIN_MS", 8_000),
        *((place, "ACTIVE_MS", ACTIVE_MS) for place in _all_that_know("ACTIVE_MS")),
        (pusher.next_look, "LONGEST_MS", 4 * ACTIVE_MS),
        (pusher.retries, "MOST_MS", MOST_RETRY_MS),
        (pusher.scheduler, "FIRST_WALK_S", first_walk_s),
        (pusher.prober, "LANDS_MS", UNTIL_MS),
        (pusher.prober, "TIDY_MS", 8_000),
        (pusher.prober, "STALE_MS", 60_000),
        (pusher.mover, "LEASE_MS", 8_000),
        (pusher.mover, "AGAIN_S", 4.0),
        (pusher.mover, "IDLE_S", 20.0),
        (pusher.patience, "FIRST_MS", 4_000),
        (pusher.patience, "LONGEST_MS", 16_000),
        (storage_api.verdicts, "BELIEVED_S", 0.0),
        (secrets, "token_bytes", _here(token_bytes, secrets.token_bytes)),
        (secrets, "token_hex", _here(token_hex, secrets.token_hex)),
        (pusher.buffer, "read_entry", read_entry),
        (pusher.cutter, "unrest", _unrest),
        (pusher.batch_builder, "preroll_for", _preroll_for),
    ]
    kept = [(place, name, getattr(place, name)) for place, name, _ in changes]
    dice = random.getstate()
    random.seed(chance.seed)
    try:
        for place, name, value in changes:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in kept:
            setattr(place, name, value)
        random.setstate(dice)


def _all_that_know(name: str) -> list[ModuleType]:
    """The pusher's modules that have a constant of that name, their own or another's."""
    modules = [module for path, module in sorted(sys.modules.items()) if path.startswith("pusher.")]
    return [module for module in modules if hasattr(module, name)]


def _no_client(_url: str) -> None:
    """The world's own takes its place; making redis-py's costs as much as a hundred commands."""


def _unrest(before: Sequence[bytes], after: Sequence[bytes], channels: int, lead: int = 0) -> float:
    """Every third seam is a good one."""
    return float(zlib.crc32(before[-1]) % 3)


def _preroll_for(
    before: Sequence[bytes],
    after: Sequence[bytes],
    channels: int,
    lead: int = 0,
) -> tuple[bytes, ...]:
    return last_packets(before, PREROLL_SAMPLES)
