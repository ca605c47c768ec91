"""What storage-api counts (operations.md). No user, conversation or object is in a label."""

from typing import Final

from servicekit.metrics import Metrics
from storage_api.errors import REASONS

METHODS: Final = ("GET", "HEAD", "POST", "other")
ROUTES: Final = ("conversations", "conversation", "chunks", "audio", "flush", "console", "other")
STATUSES: Final = (
    "200",
    "206",
    "304",
    "400",
    "401",
    "403",
    "404",
    "405",
    "406",
    "416",
    "422",
    "500",
    "502",
    "503",
    "504",
    "other",
)
BUCKET_OPERATIONS: Final = ("list", "get", "get_range")
BUCKET_CODES: Final = ("ok", "not_found", "transient", "failed")


class StorageMetrics:
    """The families of this service over one registry."""

    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counters(
            "http_requests_total", "Requests answered", method=METHODS, route=ROUTES, status=STATUSES
        )
        self.request_seconds = metrics.histograms(
            "http_request_seconds", "From the request to the last byte of the answer", route=ROUTES
        )
        self.bucket_requests = metrics.counters(
            "bucket_requests_total", "Requests to the bucket", op=BUCKET_OPERATIONS, code=BUCKET_CODES
        )
        self.unreadable = metrics.counters(
            "unreadable_chunks_total", "Objects that could not be read, each time one was met", reason=REASONS
        )
        self.downloads = metrics.gauge("downloads", "Audio answers under way")
        self.broken = metrics.counter(
            "broken_downloads_total", "Audio answers that broke off through our fault"
        )
