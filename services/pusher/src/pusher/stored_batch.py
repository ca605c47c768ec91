"""What is told of a put, and of a batch that was stored: counts, and a line in the log."""

import logging
import time

from pusher.metrics import PusherMetrics
from pusher.reason import Reason
from pusher.store_put import Prepared

log = logging.getLogger(__name__)


def count_batch(metrics: PusherMetrics, prepared: Prepared) -> None:
    """One more; where it needed no object, only its seconds."""
    built = prepared.built
    metrics.stored_seconds.inc(built.samples / 48_000)
    if built.batch is None:
        return
    # A cut of another version may carry a reason that this build does not know.
    reason = prepared.cut.reason if prepared.cut.reason in set(Reason) else Reason.FLUSH.value
    metrics.batches[reason].inc()
    metrics.batch_audio_seconds.observe(sum(span.samples for span in built.batch.spans) / 48_000)
    metrics.batch_bytes.observe(len(built.data))
    log.info(
        "stored a batch",
        extra={
            "object": prepared.cut.name.rpartition("/")[2],
            "reason": prepared.cut.reason,
            "bytes": len(built.data),
            "runs": len(built.batch.spans),
        },
    )


def count_put(metrics: PusherMetrics, outcome: str | None, begun: float) -> None:
    """One more, if it came to one of the outcomes that are counted. `begun`: by `time.perf_counter`."""
    if outcome is None:
        return
    metrics.puts[outcome].inc()
    metrics.put_seconds[outcome].observe(time.perf_counter() - begun)
