"""What the pusher counts (operations.md). No user, conversation or object is in a label, and every value is zeroed at start."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pusher import __version__
from pusher.books import Books
from pusher.circuit import Phase
from pusher.homecoming import HOMECOMINGS
from pusher.letter_metrics import LetterMetrics
from pusher.reason import Reason
from pusher.redis_figures import RedisFigures
from pusher.store_put import Outcome
from servicekit.metrics import PREFIX, Metrics

PUT_OUTCOMES: Final = {
    Outcome.STORED: "stored",
    Outcome.FOUND: "found",
    Outcome.TAKEN: "taken",
    Outcome.DELETED: "deleted",
    Outcome.OVERTAKEN: "overtaken",
}
FAILED: Final = "failed"
STORES: Final = ("first", "second")
CLAIM_OWN: Final = "own"
CLAIM_DEAD: Final = "dead"
DEAD_UNREADABLE: Final = "unreadable"
DEAD_UNBUILDABLE: Final = "unbuildable"

_AUDIO_BUCKETS: Final = (0.5, 1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 59.0, 60.0)
_BYTES_BUCKETS: Final = (1e3, 1e4, 5e4, 1e5, 1.5e5, 2e5, 2.5e5, 5e5, 1e6, 5e6)


class DeadLetters(Collector):
    """The gauge `dead_letters`. A collector of its own: prometheus_client keeps the name of the counter `dead_letters_total` for that one."""

    def __init__(self) -> None:
        self.value = 0.0

    def collect(self) -> Iterator[Metric]:
        """The one sample."""
        yield GaugeMetricFamily(
            f"{PREFIX}dead_letters",
            "Entries in the dead letters, as they were counted last and since",
            self.value,
        )


class PusherMetrics:
    """The families of this service, on one registry."""

    def __init__(self) -> None:
        metrics = Metrics("pusher", __version__)
        self.process = metrics
        self.batches = metrics.counters(
            "batches_total", "Batches settled", reason=[reason.value for reason in Reason]
        )
        self.batch_audio_seconds = metrics.histogram(
            "batch_audio_seconds", "Audio in a stored batch", _AUDIO_BUCKETS
        )
        self.batch_bytes = metrics.histogram("batch_bytes", "Size of a stored object", _BYTES_BUCKETS)
        outcomes = [*PUT_OUTCOMES.values(), FAILED]
        self.puts = metrics.counters("puts_total", "Tries to store a batch", outcome=outcomes)
        self.put_seconds = metrics.histograms(
            "put_seconds", "How long a try to store a batch took", outcome=outcomes
        )
        self.stored_seconds = metrics.counter("audio_stored_seconds_total", "Audio settled in the bucket")
        self.oldest_unstored = metrics.gauge(
            "oldest_unstored_age_seconds",
            "Age of the oldest audio that is not stored, shown by one pusher; NaN where nobody can tell",
        )
        self.books = Books(metrics)
        self.dead_letters = DeadLetters()
        metrics.registry.register(self.dead_letters)
        self.dead = metrics.counters(
            "dead_letters_total",
            "Entries moved to the dead letters",
            reason=[DEAD_UNREADABLE, DEAD_UNBUILDABLE],
        )
        self.letters = LetterMetrics(metrics)
        self.claims = metrics.counters(
            "claims_total",
            "Hints taken over: own ones from before, those of dead consumers",
            kind=[CLAIM_OWN, CLAIM_DEAD],
        )
        self.ready_lag = metrics.gauge("ready_lag", "Hints that nobody has followed yet, over all partitions")
        self.redis_histories = metrics.counter(
            "redis_histories_total",
            "Times that Redis was found to be another than before: restarted, failed over, restored",
        )
        self.redis = RedisFigures(metrics)
        self.redis_memory = metrics.gauge(
            "redis_memory_ratio",
            "What Redis has taken of its maxmemory, of a cluster the fullest master; 0: no limit",
        )
        self.early_hints = metrics.counter(
            "early_hints_total", "Buffers hinted at to be stored early, because Redis' memory was short"
        )
        self._circuit = metrics.gauges(
            "store_circuit",
            "How a bucket is: 1 for the state that it is in",
            store=list(STORES),
            state=[phase.value for phase in Phase],
        )
        self.fallback_batches = metrics.counter(
            "fallback_batches_total", "Batches that went to the second bucket"
        )
        self.moved_home = metrics.counters(
            "moved_home_total",
            "Objects of the second bucket, by what came of moving them home",
            outcome=list(HOMECOMINGS),
        )
        self.fallback_objects = metrics.gauge(
            "fallback_objects",
            "Batches in the second bucket, as of the last look of the pusher that moves them",
        )
        self.unsealed = metrics.counter(
            "unsealed_waits_total", "Times that a batch was kept back because a key was missing"
        )

    def circuit_is(self, store: str, phase: Phase) -> None:
        """Shows the state of one bucket: one of STORES."""
        for one in Phase:
            self._circuit[store, one.value].set(one is phase)
