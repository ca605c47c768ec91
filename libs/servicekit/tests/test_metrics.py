import asyncio
import time

import pytest

from servicekit.metrics import LAG_WINDOW_S, Metrics


@pytest.fixture
def metrics():
    return Metrics("listen", "1.2.3")


def series(metrics):
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
        for line in metrics.render().decode().splitlines()
        if not line.startswith("#")
    }


def test_what_every_service_has(metrics):
    found = series(metrics)
    assert found['tapedeck_build_info{service="listen",version="1.2.3"}'] == 1
    assert found["tapedeck_event_loop_lag_seconds"] == 0
    assert found["process_resident_memory_bytes"] > 0


def test_the_clock_is_told_as_it_stands_when_it_is_asked_for(metrics):
    before = time.time()
    assert before <= series(metrics)["tapedeck_clock_seconds"] <= time.time()


def test_every_label_value_is_there_from_the_start(metrics):
    puts = metrics.counters("puts_total", "Puts", outcome=["ok", "failed"])
    seconds = metrics.histograms("put_seconds", "Put", outcome=["ok"])
    assert series(metrics)['tapedeck_puts_total{outcome="failed"}'] == 0
    assert series(metrics)['tapedeck_put_seconds_count{outcome="ok"}'] == 0
    puts["ok"].inc()
    seconds["ok"].observe(0.2)
    assert series(metrics)['tapedeck_puts_total{outcome="ok"}'] == 1
    assert series(metrics)['tapedeck_put_seconds_bucket{le="0.25",outcome="ok"}'] == 1
    assert not [name for name in series(metrics) if "_created" in name]


def test_several_labels_and_values_that_are_not_known(metrics):
    requests = metrics.counters("http_requests_total", "R", method=["GET", "other"], status=["200", "404"])
    requests["GET", "200"].inc()
    requests["BREW", "404"].inc()
    assert series(metrics)['tapedeck_http_requests_total{method="other",status="404"}'] == 1
    with pytest.raises(KeyError):
        requests["GET", "999"].inc()
    assert len([name for name in series(metrics) if "http_requests" in name]) == 4


def test_without_labels(metrics):
    metrics.counter("resumes_total", "R").inc(2)
    metrics.gauge("connections", "C").set(3)
    metrics.histogram("ack_seconds", "A", buckets=(0.1, 1)).observe(0.5)
    found = series(metrics)
    assert found["tapedeck_resumes_total"] == 2
    assert found["tapedeck_connections"] == 3
    assert found['tapedeck_ack_seconds_bucket{le="1.0"}'] == 1


def test_lag_is_the_worst_of_a_window(metrics):
    for now_s, lag_s in ((0, 0.5), (10, 0.2), (20, -0.1)):
        metrics.note_lag(now_s, lag_s)
    assert series(metrics)["tapedeck_event_loop_lag_seconds"] == 0.5
    metrics.note_lag(LAG_WINDOW_S + 5, 0.1)
    assert series(metrics)["tapedeck_event_loop_lag_seconds"] == 0.2


async def test_a_stalled_loop_is_seen(metrics, eventually):
    watching = asyncio.create_task(metrics.watch_event_loop())
    await asyncio.sleep(0)
    time.sleep(0.4)  # noqa: ASYNC251 - the stall itself
    await eventually(lambda: series(metrics)["tapedeck_event_loop_lag_seconds"] > 0.1)
    watching.cancel()
    await asyncio.wait([watching])


async def test_tasks_are_counted_while_the_loop_is_watched(metrics, eventually):
    assert series(metrics)["tapedeck_event_loop_tasks"] == 0
    watching = asyncio.create_task(metrics.watch_event_loop())
    await asyncio.sleep(0)
    before = series(metrics)["tapedeck_event_loop_tasks"]
    assert before >= 2
    more = asyncio.create_task(asyncio.Event().wait())
    assert series(metrics)["tapedeck_event_loop_tasks"] == before + 1
    for task in (more, watching):
        task.cancel()
    await asyncio.wait([more, watching])
    assert series(metrics)["tapedeck_event_loop_tasks"] == before - 1
