import pytest
from prometheus_client.parser import text_string_to_metric_families

from servicekit.exposition import merge
from servicekit.metrics import Metrics


def page(puts, lag_s, outcome="ok"):
    metrics = Metrics("listen", "1")
    metrics.counters("puts_total", "Puts", outcome=["ok", 'a "quoted" } one'])[outcome].inc(puts)
    metrics.histogram("ack_seconds", "Acks", buckets=(0.1, 1)).observe(0.5)
    metrics.gauge("connections", "C").set(puts)
    metrics.note_lag(0, lag_s)
    return metrics.render().decode()


def test_one_page_stays_as_it_is():
    families = list(text_string_to_metric_families(page(2, 0.5)))
    assert list(text_string_to_metric_families(merge([page(2, 0.5)])))[4:] == families[4:]


def test_counts_are_summed_and_the_worst_is_shown():
    merged = merge([page(2, 0.5), page(3, 0.1), page(4, 0.2, outcome='a "quoted" } one')])
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(merged)
        for sample in family.samples
    }
    assert found["tapedeck_puts_total", "ok"] == 5
    assert found["tapedeck_puts_total", 'a "quoted" } one'] == 4
    assert found["tapedeck_ack_seconds_bucket", "+Inf"] == 3
    assert found["tapedeck_ack_seconds_bucket", "0.1"] == 0
    assert found["tapedeck_connections",] == 9
    assert found["tapedeck_build_info", "listen", "1"] == 1
    assert found["tapedeck_event_loop_lag_seconds",] == 0.5
    assert merged.count("# TYPE tapedeck_puts_total counter") == 1


def test_nothing_and_nonsense():
    assert merge([]) == ""
    with pytest.raises(ValueError, match="could not convert"):
        merge(["<html>not found</html>\n"])
