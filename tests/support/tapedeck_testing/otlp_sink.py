"""A collector of traces on loopback: takes what is posted to `/v1/traces` (OTLP over HTTP) and keeps the spans."""

import gzip
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Seen:
    """A span as it came."""

    service: str
    name: str
    trace_id: str
    span_id: str
    attributes: dict[str, Any]
    links: frozenset[str]
    """Ids of the spans that it is linked to."""
    linked_traces: frozenset[str] = frozenset()
    """Ids of their traces."""
    parent_id: str = ""
    """Of the span that it is below."""
    kind: str = ""
    start_ns: int = 0
    end_ns: int = 0
    failed: bool = False


@dataclass(slots=True)
class OtlpSink:
    """Takes spans while inside."""

    spans: list[Seen] = field(default_factory=list)
    url: str = ""
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.spans += _spans(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


def _spans(body: bytes) -> list[Seen]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - only where it is used
        ExportTraceServiceRequest,
    )
    from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status  # noqa: PLC0415 - the same

    found = []
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = {one.key: one.value.string_value for one in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                attributes = {
                    one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes
                }
                links = frozenset(link.span_id.hex() for link in span.links)
                found.append(
                    Seen(
                        about["service.name"],
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        attributes,
                        links,
                        frozenset(link.trace_id.hex() for link in span.links),
                        span.parent_span_id.hex(),
                        Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        span.status.code == Status.STATUS_CODE_ERROR,
                    )
                )
    return found
