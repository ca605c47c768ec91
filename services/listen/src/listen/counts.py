"""From the session's counts to the metrics of the process. Must not know anything else."""

import logging

from listen.actions import Count
from listen.metrics import ListenMetrics

log = logging.getLogger(__name__)


def count(metrics: ListenMetrics, action: Count) -> None:
    """Counts what the session says."""
    match action.what:
        case "appended_samples":
            metrics.audio_received.inc(action.amount / 48_000)
        case "lost_samples":
            metrics.audio_lost.inc(action.amount / 48_000)
            log.error("Redis lost what it had confirmed", extra={"about_seconds": action.amount / 48_000})
        case "rejected":
            metrics.rejected[action.label].inc(action.amount)
        case "spoiled":
            metrics.spoiled.inc(action.amount)
        case "opened":
            metrics.resumes[action.label].inc()
        case "backpressure":
            metrics.backpressure[action.label].inc()
        case "looked":
            metrics.user_looks[action.label].inc()
        case "told":
            metrics.usage_told[action.label].inc()
