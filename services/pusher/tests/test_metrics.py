"""Every series is there from the start, at zero, and none names a user, a conversation or an object."""

import re

from pusher.reason import Reason


def test_all_values_are_zeroed_at_start(metrics):
    text = metrics.process.render().decode()
    for reason in Reason:
        assert f'tapedeck_batches_total{{reason="{reason}"}} 0.0' in text
    for outcome in ("stored", "found", "taken", "deleted", "overtaken", "failed"):
        assert f'tapedeck_puts_total{{outcome="{outcome}"}} 0.0' in text
        assert f'tapedeck_put_seconds_count{{outcome="{outcome}"}} 0.0' in text
    for name in ("audio_stored_seconds_total", "oldest_unstored_age_seconds", "dead_letters", "ready_lag"):
        assert f"\ntapedeck_{name} 0.0" in text
    for name in ("batch_audio_seconds", "batch_bytes"):
        assert f"\ntapedeck_{name}_count 0.0" in text


def test_the_gauge_and_the_counter_of_dead_letters_live_side_by_side(metrics):
    metrics.dead["unreadable"].inc()
    metrics.dead_letters.value = 3
    text = metrics.process.render().decode()
    assert 'tapedeck_dead_letters_total{reason="unreadable"} 1.0' in text
    assert "\ntapedeck_dead_letters 3.0" in text


def test_labels_are_few(metrics):
    labels = set(re.findall(r"[{,](\w+)=", metrics.process.render().decode()))
    assert labels <= {"reason", "outcome", "kind", "le", "service", "version", "store", "state", "part"}
