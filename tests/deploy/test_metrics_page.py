"""The page of metrics is as the code is, and what running processes show is what the page tells."""

import re

import httpx

from tapedeck_testing.metrics_page import PAGE, families, metrics_page, shown_name


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == metrics_page(), (
        "run tests/support/tapedeck_testing/metrics_page.py"
    )


def test_names_follow_the_rules():
    for service, of_service in families().items():
        for family in of_service:
            name = shown_name(family)
            assert name.startswith(("tapedeck_", "process_")), (service, name)
            assert family.documentation, (service, name)
            assert not re.search(r"_(ms|millis|minutes|kib|kb|percent)(_|$)", name), (service, name)


def test_every_series_is_there_at_the_start():
    """A rate over a series that begins with its first event misses that event."""
    for service, of_service in families().items():
        for family in of_service:
            assert family.samples, (service, family.name)
            if family.type == "counter" and not family.name.startswith("process_"):
                assert {sample.value for sample in family.samples} == {0.0}, (service, family.name)


def test_running_processes_show_what_the_page_tells(stack):
    for component, service in (("listen", "listen"), ("pusher", "pusher"), ("storage_api", "storage-api")):
        text = httpx.get(f"{stack.facts['admin'][component]}/metrics", trust_env=False).text
        shown = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
        told = {shown_name(family) for family in families()[service]}
        assert shown == told, service


def test_the_metrics_that_operators_rely_on_are_there():
    """The list of the specification."""
    wanted = {
        "listen": "audio_received_seconds_total audio_lost_seconds_total connections messages_received_total{codec} "
        "messages_rejected_total{reason} closes_total{code} append_seconds ack_seconds resumes_total{outcome} "
        "backpressure_total{action} refused_total{reason}",
        "pusher": "audio_stored_seconds_total audio_deleted_seconds_total audio_waiting_seconds audio_dead_seconds "
        "oldest_unstored_age_seconds batches_total{reason} batch_audio_seconds batch_bytes put_seconds{outcome} "
        "puts_total{outcome} dead_letters dead_letters_total{reason} claims_total{kind} ready_lag",
        "storage-api": "audio_deleted_seconds_total http_requests_total{method,route,status} http_request_seconds{route} "
        "bucket_requests_total{op,code} unreadable_chunks_total{reason}",
        "all": "build_info{service,version} event_loop_lag_seconds ready warnings",
    }
    for service, names in wanted.items():
        shown = {shown_name(family): family for family in families()[service]}
        for wish in names.split():
            name, _, labels = wish.rstrip("}").partition("{")
            family = shown[f"tapedeck_{name}"]
            found = {label for sample in family.samples for label in sample.labels} - {"le"}
            assert found == set(filter(None, labels.split(","))), wish
