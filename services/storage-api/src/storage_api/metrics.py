"""What storage-api counts (operations.md). No user, conversation or object is in a label."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter

from audiostore.errors import NotFoundError, StoreError
from servicekit.metrics import OTHER, PREFIX, Metrics
from storage_api.errors import REASONS
from storage_api.row import METHODS, Row

CONSOLE: Final = "console"
_CONSOLE_STATUSES: Final = ("200", "206", "304", "404", "405")
_OTHER_STATUSES: Final = ("404", "405")

BUCKET_OPERATIONS: Final = ("list", "get", "get_range")
OPERATION_STATES: Final = ("undone", "due", "failing")
BUCKET_CODES: Final = ("ok", "not_found", "transient", "failed")


class Requests:
    """`http_requests_total` by method, route and status: a series for each answer that the table of routes names, no more.

    Any other status is `other`; a method that the route has not is `other`, too. So is a route that is none.
    """

    def __init__(self, metrics: Metrics, table: Iterable[Row]) -> None:
        family = Counter(
            PREFIX + "http_requests_total",
            "Requests answered",
            ["method", "route", "status"],
            registry=metrics.registry,
        )
        known: set[tuple[str, str, str]] = {
            (row.method, row.name, str(status)) for row in table for status in row.statuses
        }
        known |= {(method, CONSOLE, status) for method in ("GET", "HEAD") for status in _CONSOLE_STATUSES}
        known |= {(method, OTHER, status) for method in METHODS for status in _OTHER_STATUSES}
        known |= {(method, route, OTHER) for method, route, _ in known}
        known |= {(OTHER, route, status) for _, route, _ in known for status in ("405", OTHER)}
        self._members = {labels: family.labels(*labels) for labels in sorted(known)}

    def __getitem__(self, labels: tuple[str, str, str]) -> Counter:
        """The counter of this method, route and status, or the nearest that there is."""
        method, route, status = labels
        for known in (labels, (method, route, OTHER), (OTHER, route, status), (OTHER, route, OTHER)):
            if known in self._members:
                return self._members[known]
        return self._members[OTHER, OTHER, OTHER]


class StorageMetrics:
    """The families of this service over one registry; requests are counted by the routes of `table`."""

    def __init__(self, metrics: Metrics, table: Iterable[Row] = ()) -> None:
        rows = tuple(table)
        self.process = metrics
        self.requests = Requests(metrics, rows)
        self.request_seconds = metrics.histograms(
            "http_request_seconds",
            "From the request to the last byte of the answer",
            route=sorted({row.name for row in rows} | {CONSOLE, OTHER}),
        )
        self.bucket_requests = metrics.counters(
            "bucket_requests_total", "Requests to the bucket", op=BUCKET_OPERATIONS, code=BUCKET_CODES
        )
        self.unreadable = metrics.counters(
            "unreadable_chunks_total", "Objects that could not be read, each time one was met", reason=REASONS
        )
        self._deleted_seconds = metrics.counter(
            "audio_deleted_seconds_total",
            "Audio that was deleted on purpose, from Redis or the bucket, by this process",
        )
        self.downloads = metrics.gauge("downloads", "Audio answers under way")
        self.operations = metrics.gauges(
            "operations",
            "Operations that are not done: all, those that somebody should have taken by now, and those whose last try failed",
            state=OPERATION_STATES,
        )
        self.broken = metrics.counter(
            "broken_downloads_total", "Audio answers that broke off through our fault"
        )
        self.stalled = metrics.counter(
            "stalled_clients_total", "Answers that broke off because their client took nothing for a minute"
        )

    @contextmanager
    def bucket_request(self, operation: str) -> Iterator[None]:
        """Counts what is asked of the bucket inside of it, and what came of that: one of BUCKET_OPERATIONS."""
        code = "ok"
        try:
            yield
        except NotFoundError:
            code = "not_found"
            raise
        except StoreError as error:
            code = "transient" if error.retryable else "failed"
            raise
        finally:
            self.bucket_requests[operation, code].inc()

    def deleted(self, samples: int) -> None:
        """So much was deleted by this process, at 48 kHz."""
        self._deleted_seconds.inc(max(0, samples) / 48_000)
