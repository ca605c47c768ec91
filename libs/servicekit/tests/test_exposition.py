import math

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
    alone = page(2, 0.5)
    families = list(text_string_to_metric_families(alone))
    assert list(text_string_to_metric_families(merge([alone]))) == families


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


def of(series, *values):
    """What the merged page says of a gauge of which each process says one of these."""
    family = series.partition("{")[0]
    head = f"# HELP {family} G\n# TYPE {family} gauge\n"
    [line] = merge([f"{head}{series} {value}\n" for value in values]).splitlines()[2:]
    return float(line.rpartition(" ")[2])


def test_what_is_a_share_or_a_state_is_not_summed():
    assert of("tapedeck_redis_memory_ratio", 0.873, 0.871) == 0.873
    assert of('tapedeck_store_circuit{store="first",state="closed"}', 1.0, 1.0) == 1
    assert of('tapedeck_store_circuit{store="first",state="open"}', 0.0, 1.0) == 1
    assert of("tapedeck_clock_seconds", 1_700_000_000.5, 1_700_000_000.6) == 1_700_000_000.6


def test_the_largest_passes_over_what_is_not_known_in_whatever_order():
    age = "tapedeck_oldest_unstored_age_seconds"
    for values in (("NaN", 7.0, 0.0), (7.0, "NaN", 0.0), (0.0, 7.0, "NaN")):
        assert of(age, *values) == 7
    assert of(age, "NaN", 0.0) == of(age, 0.0, "NaN") == 0
    assert math.isnan(of(age, "NaN", "NaN"))
    # A sum of which a part is not known is not known.
    for values in (("NaN", 7.0), (7.0, "NaN")):
        assert math.isnan(of("tapedeck_audio_waiting_seconds", *values))


def test_nothing_and_nonsense():
    assert merge([]) == ""
    with pytest.raises(ValueError, match="could not convert"):
        merge(["<html>not found</html>\n"])
