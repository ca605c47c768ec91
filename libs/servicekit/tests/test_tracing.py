"""Spans, and the names by which they find each other."""

import io
import json
import logging
import subprocess
import sys

import pytest

from servicekit.logs import JsonFormatter
from servicekit.stop import Stop
from servicekit.tracing import MOST_LINKS, Tracing, open_tracing
from tapedeck_testing.free_ports import free_port
from tapedeck_testing.otlp_sink import OtlpSink

NAMED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def sink(monkeypatch):
    with OtlpSink() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        yield sink


def storing(tracing, traceparent) -> None:
    with tracing.span("batch", {"reason": "size"}, [traceparent, "nonsense"]) as span:
        span.tell({"bytes": 5})
        raise KeyError


async def test_spans_are_delivered_with_their_links(sink):
    tracing = open_tracing("pusher", "1.2", sink.url)
    session = tracing.begin("session", {"conversation_id": "c"})
    session.end()
    with pytest.raises(KeyError):
        storing(tracing, session.traceparent)
    await tracing.close(5)
    first, second = sink.spans
    assert (first.service, first.name, first.attributes) == ("pusher", "session", {"conversation_id": "c"})
    assert (second.name, second.attributes) == ("batch", {"reason": "size", "bytes": 5})
    assert second.links == {first.span_id}
    assert second.trace_id != first.trace_id
    assert session.traceparent.startswith(f"00-{first.trace_id}-{first.span_id}-")


@pytest.mark.parametrize("traceparent", ["", NAMED + "-more"])
async def test_what_is_no_traceparent_links_to_nothing_and_is_above_nothing(sink, traceparent):
    tracing = open_tracing("pusher", "1", sink.url)
    tracing.begin("batch", {}, [traceparent, NAMED], parent=traceparent).end()
    await tracing.close(5)
    assert sink.spans[0].links == {"b7ad6b7169203331"}
    assert sink.spans[0].parent_id == ""


async def test_a_span_may_be_below_somebody_elses(sink):
    tracing = open_tracing("storage-api", "1", sink.url)
    for flags in ("01", "00"):  # what its owner does not keep is not kept
        span = tracing.begin("request", {}, parent=NAMED[:-2] + flags, serves=True)
        assert span.sampled == (flags == "01")
        span.end()
    tracing.begin("request", {}, parent=None).end()
    await tracing.close(5)
    below, alone = sink.spans
    assert (below.trace_id, below.parent_id) == (NAMED[3:35], NAMED[36:52])
    assert (below.kind, alone.kind) == ("SERVER", "INTERNAL")
    assert alone.trace_id != below.trace_id


async def test_links_are_few(sink):
    tracing = open_tracing("pusher", "1", sink.url)
    tracing.begin("batch", {}, [NAMED.replace("b7ad", f"{n:04x}") for n in range(1, 2 * MOST_LINKS)]).end()
    await tracing.close(5)
    assert len(sink.spans[0].links) == MOST_LINKS


async def test_lines_of_the_log_name_the_span_around_them(sink):
    tracing = open_tracing("pusher", "1", sink.url)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("pusher"))
    log = logging.getLogger("test.tracing")
    log.addHandler(handler)
    with tracing.span("batch", {}):
        log.warning("inside")
    log.warning("outside")
    log.removeHandler(handler)
    await tracing.close(5)
    inside, outside = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert inside["trace_id"] == sink.spans[0].trace_id
    assert inside["span_id"] == sink.spans[0].span_id
    assert "trace_id" not in outside


async def test_a_collector_that_is_away_holds_nobody_up(monkeypatch):
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setattr("servicekit.tracing.LAST_S", 0.05)
    tracing = open_tracing("pusher", "1", url)
    with tracing.span("batch", {}):
        pass
    await tracing.close(Stop(1).remaining_s())


async def test_without_an_endpoint_there_is_nothing():
    tracing = open_tracing("pusher", "1", None)
    with tracing.span("batch", {}) as span:
        assert span is None
    assert not tracing.on
    with pytest.raises(ValueError, match="off"):
        tracing.begin("batch", {})
    await tracing.close(1)


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported():
    code = (
        "import sys; import pusher.service, listen.service; from servicekit.tracing import open_tracing; "
        "open_tracing('x', '1', None); print([one for one in sys.modules if one.startswith('opentelemetry.exporter')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_without_the_packages_the_service_goes_on_and_says_so(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert not open_tracing("pusher", "1", "http://127.0.0.1:4318").on
    assert "tapedeck-servicekit[traces]" in caplog.text
    assert isinstance(Tracing(), Tracing)
