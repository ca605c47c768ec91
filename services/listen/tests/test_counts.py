"""From the session's counts to the metrics."""

import pytest

from listen.actions import Count
from listen.counts import count
from listen.metrics import ListenMetrics
from servicekit.metrics import Metrics


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (Count("appended_samples", 96_000), "tapedeck_audio_received_seconds_total 2.0"),
        (Count("lost_samples", 48_000), "tapedeck_audio_lost_seconds_total 1.0"),
        (Count("rejected", 3, "bad_audio"), 'tapedeck_messages_rejected_total{reason="bad_audio"} 3.0'),
        (Count("spoiled", 2), "tapedeck_messages_spoiled_total 2.0"),
        (Count("opened", 1, "resumed"), 'tapedeck_resumes_total{outcome="resumed"} 1.0'),
        (Count("backpressure", 1, "paused"), 'tapedeck_backpressure_total{action="paused"} 1.0'),
    ],
)
def test_each_has_its_family(action, line):
    metrics = Metrics("listen", "0")
    count(ListenMetrics(metrics), action)
    assert line in metrics.render().decode().splitlines()
