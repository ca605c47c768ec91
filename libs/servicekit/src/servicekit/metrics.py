"""Metrics: one registry a process, prefix `tapedeck_`, every label value known in advance and zeroed at start.

Owns what all services measure (build, event loop lag, the process) and how families are declared. Must not know what
a service counts; no label may hold a user, a conversation or an object.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from itertools import product
from typing import Final, Generic, TypeVar

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

M = TypeVar("M", bound=MetricWrapperBase)

PREFIX: Final = "tapedeck_"
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
OTHER: Final = "other"

# 1 ms to 30 s: round trips to Redis at one end, puts to a slow bucket at the other.
SECONDS_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

LAG_INTERVAL_S: Final = 0.25
LAG_WINDOW_S: Final = (
    30.0  # one or two scrapes: a gauge that is read twice a minute must not miss a stall between
)


class Labelled(Generic[M]):
    """A family with labels, each combination of known values made at start: `puts["ok"].inc()`, `requests["GET", "/x", "200"]`.

    A value that is not known stands for `other` where that is known, else KeyError: a mistake of the caller.
    """

    def __init__(self, family: M, labels: dict[str, Sequence[str]]) -> None:
        self._known = [frozenset(values) for values in labels.values()]
        self._members: dict[tuple[str, ...], M] = {
            values: family.labels(*values) for values in product(*labels.values())
        }

    def __getitem__(self, values: str | tuple[str, ...]) -> M:
        key = (values,) if isinstance(values, str) else values
        member = self._members.get(key)
        if member is None:
            member = self._members[
                tuple(
                    value if value in known or OTHER not in known else OTHER
                    for value, known in zip(key, self._known, strict=True)
                )
            ]
        return member


class Metrics:
    """The metrics of this process. Names are given without the prefix: `metrics.counter("resumes_total", "…")`."""

    def __init__(self, service: str, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # half of all series, and nobody asks for them
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = self.gauges("build_info", "What runs here; always 1", service=[service], version=[version])
        build[service, version].set(1)
        self._lags: deque[tuple[float, float]] = deque()
        self.gauge(
            "event_loop_lag_seconds", f"Longest delay of the event loop in {LAG_WINDOW_S:.0f} s"
        ).set_function(self._worst_lag)
        self._watched: asyncio.AbstractEventLoop | None = None
        self.gauge(
            "event_loop_tasks", "Tasks of the event loop: what outlives its socket is left behind"
        ).set_function(self._tasks)
        self.gauge(
            "clock_seconds", "What the clock of this machine says, unix seconds: beside when it was asked"
        ).set_function(time.time)

    def counter(self, name: str, help_text: str) -> Counter:
        """A counter without labels; `name` ends in `_total`."""
        return Counter(PREFIX + name, help_text, registry=self.registry)

    def counters(self, name: str, help_text: str, **labels: Sequence[str]) -> Labelled[Counter]:
        """Counters by labels: `counters("puts_total", "…", outcome=["ok", "failed"])`."""
        return Labelled(Counter(PREFIX + name, help_text, list(labels), registry=self.registry), labels)

    def gauge(self, name: str, help_text: str) -> Gauge:
        """A gauge without labels; `.set_function` for what is known only when asked."""
        return Gauge(PREFIX + name, help_text, registry=self.registry)

    def gauges(self, name: str, help_text: str, **labels: Sequence[str]) -> Labelled[Gauge]:
        """Gauges by labels."""
        return Labelled(Gauge(PREFIX + name, help_text, list(labels), registry=self.registry), labels)

    def histogram(self, name: str, help_text: str, buckets: Sequence[float] = SECONDS_BUCKETS) -> Histogram:
        """A histogram without labels; `buckets` are upper bounds in the unit that the name says."""
        return Histogram(PREFIX + name, help_text, registry=self.registry, buckets=buckets)

    def histograms(
        self, name: str, help_text: str, buckets: Sequence[float] = SECONDS_BUCKETS, **labels: Sequence[str]
    ) -> Labelled[Histogram]:
        """Histograms by labels."""
        family = Histogram(PREFIX + name, help_text, list(labels), registry=self.registry, buckets=buckets)
        return Labelled(family, labels)

    def render(self) -> bytes:
        """What Prometheus reads, with content type `CONTENT_TYPE`."""
        return generate_latest(self.registry)

    async def watch_event_loop(self) -> None:
        """Measure the event loop's lag, for ever: to be run as a task of the service (`admin.serve_admin` does)."""
        self._watched = loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(LAG_INTERVAL_S)
            self.note_lag(time.monotonic(), loop.time() - before - LAG_INTERVAL_S)

    def note_lag(self, now_s: float, lag_s: float) -> None:
        """Take one measurement of lag at a monotonic time."""
        self._lags.append((now_s, max(0.0, lag_s)))
        while self._lags[0][0] < now_s - LAG_WINDOW_S:
            self._lags.popleft()

    def _tasks(self) -> int:
        return 0 if self._watched is None else len(asyncio.all_tasks(self._watched))

    def _worst_lag(self) -> float:
        return max((lag_s for _, lag_s in self._lags), default=0.0)
