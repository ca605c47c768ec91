"""What all sockets of a process share, and their clock. Must not decide anything."""

import time
from concurrent.futures import Executor
from dataclasses import dataclass

from audiobus import Bus, Hints, Writer
from listen.budget import Budget
from listen.handover import Handover
from listen.high_water import HighWater
from listen.late_usage import LateUsage
from listen.metrics import ListenMetrics


def now_ms() -> int:
    """Unix time."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Backend:
    """What all sockets of a process share."""

    bus: Bus
    hints: Hints
    writer: Writer
    encoders: Executor
    metrics: ListenMetrics
    budget: Budget
    high_water: HighWater
    late_usage: LateUsage
    handover: Handover
