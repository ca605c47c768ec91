"""The span of a request, told to a real collector."""

import io
import json
import logging

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from servicekit.logs import JsonFormatter
from servicekit.problem import RequestIds
from servicekit.tracing import open_tracing
from storage_api.request_span import RequestSpans
from tapedeck_testing.otlp_sink import OtlpSink

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def answer(request):
    if request.path_params["uid"] == "breaks":
        raise RuntimeError("this text names alice")
    return Response(status_code=int(request.path_params["status"]))


@pytest.fixture
async def ask(monkeypatch):
    """Asks an app like ours; what was told of it."""
    app = Starlette(routes=[Route("/v1/users/{uid:str}/{status}", answer, methods=["GET"])])
    with OtlpSink() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        tracing = open_tracing("storage-api", "1", sink.url)
        transport = httpx.ASGITransport(RequestSpans(RequestIds(app), tracing), raise_app_exceptions=False)

        async def asked(path, headers=(), method="GET"):
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
                await http.request(method, path, headers=list(headers))
            tracing._provider.force_flush()
            return sink.spans[-1] if sink.spans else None

        yield asked
        await tracing.close(5)


async def test_it_is_below_the_clients_and_names_nobody(ask):
    span = await ask("/v1/users/alice/200", [("Traceparent", CLIENT)])
    assert (span.trace_id, span.parent_id, span.kind) == (CLIENT[3:35], CLIENT[36:52], "SERVER")
    assert span.name == "GET /v1/users/{uid}/{status}"
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/users/{uid}/{status}",
        "http.response.status_code": 200,
    }
    assert "alice" not in repr(span)
    assert not span.failed
    assert span.end_ns > span.start_ns


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("traceparent", "")],
        [("traceparent", CLIENT + "-more")],
        [("traceparent", "00-" + "0" * 32 + CLIENT[35:])],
        [("traceparent", CLIENT), ("traceparent", CLIENT)],
        [("traceparent", "x" * 60_000)],
        [("traceparent", b"\xff" * 55)],
    ],
)
async def test_what_names_nobody_is_passed_over(ask, headers):
    span = await ask("/v1/users/alice/204", headers)
    assert span.parent_id == ""
    assert span.trace_id != CLIENT[3:35]


async def test_what_its_client_does_not_keep_is_not_kept(ask):
    assert await ask("/v1/users/alice/200", [("traceparent", CLIENT[:-2] + "00")]) is None


@pytest.mark.parametrize(
    ("path", "failed", "status"),
    [
        ("/v1/users/alice/404", False, 404),
        ("/v1/users/alice/503", True, 503),
        ("/v1/users/breaks/200", True, 500),
    ],
)
async def test_what_fails_through_us_has_failed(ask, path, failed, status):
    span = await ask(path)
    assert (span.failed, span.attributes["http.response.status_code"]) == (failed, status)
    assert "alice" not in repr(span)


async def test_the_line_that_tells_what_broke_names_the_span(ask):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("storage-api"))
    log = logging.getLogger("servicekit.problem")
    log.addHandler(handler)
    try:
        span = await ask("/v1/users/breaks/200", [("traceparent", CLIENT)])
    finally:
        log.removeHandler(handler)
    (line,) = [json.loads(one) for one in stream.getvalue().splitlines()]
    assert (line["trace_id"], line["span_id"]) == (CLIENT[3:35], span.span_id)


async def test_paths_and_methods_that_are_made_up_make_no_names(ask):
    assert (await ask("/wp-admin")).name == "GET"
    odd = await ask("/v1/users/alice/200", method="BREW")
    assert odd.name.startswith("HTTP")
    assert odd.attributes["http.request.method"] == "_OTHER"
    assert "BREW" not in repr(odd)
