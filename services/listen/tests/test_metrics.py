from listen.metrics import ListenMetrics
from servicekit.metrics import Metrics


def test_every_family_of_the_operators_page_is_there_and_zero():
    metrics = Metrics("listen", "1")
    ListenMetrics(metrics)
    text = metrics.render().decode()
    for line in (
        "tapedeck_connections 0.0",
        'tapedeck_messages_received_total{codec="opus"} 0.0',
        'tapedeck_messages_rejected_total{reason="bad_audio"} 0.0',
        "tapedeck_messages_spoiled_total 0.0",
        'tapedeck_closes_total{code="4409"} 0.0',
        'tapedeck_resumes_total{outcome="resumed"} 0.0',
        'tapedeck_backpressure_total{action="paused"} 0.0',
        'tapedeck_refused_total{reason="limit"} 0.0',
        "tapedeck_append_seconds_count 0.0",
        "tapedeck_ack_seconds_count 0.0",
        "tapedeck_audio_received_seconds_total 0.0",
        "tapedeck_audio_lost_seconds_total 0.0",
    ):
        assert line in text
