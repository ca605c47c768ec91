"""What all sockets of a process share, and their clock. Must not decide anything."""

from concurrent.futures import Executor
from dataclasses import dataclass, field

from audiobus import Bus, Hints, Writer
from listen.arrivals import Arrivals
from listen.budget import Budget
from listen.clock import SteadyClock
from listen.former_sessions import FormerSessions
from listen.handover import Handover
from listen.high_water import HighWater
from listen.late_usage import LateUsage
from listen.merge_news import MergeNews
from listen.metrics import ListenMetrics
from listen.session_rate import SessionRate
from listen.session_spans import SessionSpans
from servicekit.tracing import Tracing

_clock = SteadyClock()
"""One for the process: its sockets measure against each other."""


def now_ms() -> int:
    """Unix time, which never stands still."""
    return _clock.now_ms()


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
    merge_news: MergeNews
    session_rate: SessionRate = field(default_factory=SessionRate)
    arrivals: Arrivals = field(default_factory=Arrivals)
    former: FormerSessions = field(default_factory=FormerSessions)
    spans: SessionSpans = field(default_factory=lambda: SessionSpans(Tracing()))
