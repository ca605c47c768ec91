"""A session as several spans, told to a real collector."""

import pytest

from audiobus import AppendRequest, Conversation
from audiobus.entry_id import EntryId
from listen.session_spans import STRETCH_S, SessionSpans
from servicekit.tracing import Tracing, open_tracing
from tapedeck_testing.otlp_sink import OtlpSink

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def sink(monkeypatch):
    with OtlpSink() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        yield sink


@pytest.fixture
def told(sink):
    tracing = open_tracing("listen", "1", sink.url)
    clock = Clock()
    return tracing, clock, SessionSpans(tracing, clock)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def chunk(owner: str, epoch: int = 1, cid: str = "c") -> AppendRequest:
    return AppendRequest(
        Conversation("alice", cid), owner, EntryId(epoch, 0), EntryId(epoch, 9), b"", 1, None, 0
    )


async def test_a_long_session_is_told_in_stretches_of_one_trace(sink, told):
    tracing, clock, spans = told
    with spans.of_socket("a", None):
        first = spans.traceparent(chunk("a"))
        clock.now += STRETCH_S - 1
        assert spans.traceparent(chunk("a")) == first
        clock.now += 1
        second = spans.traceparent(chunk("a"))
        clock.now += STRETCH_S
        third = spans.traceparent(chunk("a"))
    await tracing.close(5)
    assert len({first, second, third}) == 3
    assert [span.attributes["stretch"] for span in sink.spans] == [1, 2, 3]
    one, two, three = sink.spans
    assert {span.trace_id for span in sink.spans} == {one.trace_id}
    assert (one.parent_id, two.parent_id, three.parent_id) == ("", one.span_id, one.span_id)
    assert (one.links, two.links, three.links) == (frozenset(), {one.span_id}, {two.span_id})
    assert one.end_ns <= two.start_ns <= two.end_ns <= three.start_ns
    assert second.startswith(f"00-{two.trace_id}-{two.span_id}-0")
    assert one.attributes == {"conversation_id": "c", "session": 1, "stretch": 1}


async def test_its_spans_are_below_the_clients(sink, told):
    tracing, clock, spans = told
    with spans.of_socket("a", CLIENT):
        spans.traceparent(chunk("a"))
        clock.now += STRETCH_S
        spans.traceparent(chunk("a"))
    await tracing.close(5)
    assert {(span.trace_id, span.parent_id) for span in sink.spans} == {(CLIENT[3:35], CLIENT[36:52])}
    assert sink.spans[1].links == {sink.spans[0].span_id}


@pytest.mark.parametrize("odd", ["", CLIENT.upper(), CLIENT + "-more", f"{CLIENT}, {CLIENT}", "x" * 30_000])
async def test_what_names_nobody_is_passed_over(sink, told, odd):
    tracing, _, spans = told
    with spans.of_socket("a", odd):
        spans.traceparent(chunk("a"))
    await tracing.close(5)
    (span,) = sink.spans
    assert span.parent_id == ""
    assert span.trace_id != CLIENT[3:35]


async def test_a_session_that_its_client_does_not_keep_costs_nothing(sink, told):
    tracing, clock, spans = told
    with spans.of_socket("a", CLIENT[:-2] + "00"):
        assert spans.traceparent(chunk("a")) == ""
        clock.now += STRETCH_S
        assert spans.traceparent(chunk("a")) == ""
    await tracing.close(5)
    assert sink.spans == []


async def test_each_session_of_each_socket_has_its_own(sink, told):
    tracing, _, spans = told
    with spans.of_socket("a", None), spans.of_socket("b", None):
        named = [
            spans.traceparent(one)
            for one in (chunk("a", 1), chunk("b", 2), chunk("a", 1), chunk("a", 3, "d"))
        ]
    await tracing.close(5)
    assert named[0] == named[2]
    assert len(set(named)) == 3
    seen = [(one.attributes["conversation_id"], one.attributes["session"]) for one in sink.spans]
    assert sorted(seen) == [("c", 1), ("c", 2), ("d", 3)]
    assert all(one.links == frozenset() and one.parent_id == "" for one in sink.spans)


async def test_after_its_socket_nothing_is_kept(sink, told):
    tracing, _, spans = told
    with spans.of_socket("a", CLIENT):
        pass
    with spans.of_socket("a", None):
        spans.traceparent(chunk("a"))
    assert spans.traceparent(chunk("a")) == ""
    await tracing.close(5)
    assert [span.parent_id for span in sink.spans] == [""]
    assert not spans._sockets


def test_without_traces_nothing_is_kept():
    spans = SessionSpans(Tracing())
    with spans.of_socket("a", CLIENT):
        assert not spans._sockets
        assert spans.traceparent(chunk("a")) == ""
