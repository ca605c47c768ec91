"""Traces: spans of OpenTelemetry, and nothing at all, not even an import, until an endpoint is set.

Owns the way from a span to whoever collects them (OTLP over HTTP). One span names another by its `traceparent`. No uid, audio or token may be in a span.
What cannot be delivered is dropped: traces hold nothing up.
"""

import asyncio
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from servicekit.logs import log_context
from servicekit.traceparent import Traceparent, read_traceparent

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, SpanContext, Tracer
    from opentelemetry.trace import Span as OtelSpan

log = logging.getLogger(__name__)

MOST_LINKS: Final = 32
"""Of one span: a batch seldom holds more than two sessions."""
LAST_S: Final = 1.0

Attributes = Mapping[str, Any]
"""Text, whole numbers, numbers and truth values."""


class Span:
    """One that is under way. `end` it once."""

    __slots__ = ("_span",)

    def __init__(self, span: "OtelSpan") -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        """By which others name it."""
        context = self._span.get_span_context()
        return str(Traceparent(context.trace_id, context.span_id, int(context.trace_flags)))

    @property
    def sampled(self) -> bool:
        """Whether it is delivered: what OTEL_TRACES_SAMPLER decided when it began, mostly as whoever is above it did."""
        return self._span.get_span_context().trace_flags.sampled

    @property
    def log_fields(self) -> dict[str, str]:
        """What lines of the log say of it, in the words of OpenTelemetry."""
        _, trace_id, span_id, flags = self.traceparent.split("-")
        return {"trace_id": trace_id, "span_id": span_id, "trace_flags": flags}

    def rename(self, name: str) -> None:
        """What it is of is known by now."""
        self._span.update_name(name)

    def tell(self, attributes: Attributes) -> None:
        """What is known of it by now."""
        self._span.set_attributes(dict(attributes))

    def fail(self, error: BaseException | None = None) -> None:
        """What it was made for did not work: the kind of error alone, for its text may name objects."""
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only where traces are on

        self._span.set_status(StatusCode.ERROR, None if error is None else type(error).__name__)

    def end(self) -> None:
        """It is over."""
        self._span.end()


class Tracing:
    """Of one process. Without a provider it is off, and costs a look at `on`."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer: Tracer | None = provider.get_tracer("tapedeck") if provider is not None else None

    @property
    def on(self) -> bool:
        """Whether spans go anywhere."""
        return self._tracer is not None

    def begin(
        self,
        name: str,
        attributes: Attributes,
        links: Iterable[str] = (),
        *,
        parent: str | None = None,
        serves: bool = False,
    ) -> Span:
        """A span, linked to those that `links` name (`traceparent`; what is none is passed over). Only where it is on.

        It is below `parent`, in its trace, or where that names none begins a trace of its own. `serves`: it answers a request from outside.
        """
        if self._tracer is None:
            raise ValueError("traces are off: ask `on` first")
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - only where traces are on

        found = [link for one in sorted(set(links))[:MOST_LINKS] if (link := _link(one)) is not None]
        kind = SpanKind.SERVER if serves else SpanKind.INTERNAL
        return Span(
            self._tracer.start_span(name, _below(parent), kind, attributes=dict(attributes), links=found)
        )

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Attributes,
        links: Iterable[str] = (),
        *,
        parent: str | None = None,
        serves: bool = False,
    ) -> Iterator[Span | None]:
        """A span around what is done inside, as `begin` makes it, whose log lines name it; None where traces are off."""
        if not self.on:
            yield None
            return
        span = self.begin(name, attributes, links, parent=parent, serves=serves)
        try:
            with log_context(**span.log_fields):
                yield span
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            span.end()

    async def close(self, remaining_s: float) -> None:
        """Delivers what is left, for LAST_S at the most: a collector that does not answer keeps no process from ending."""
        if self._provider is not None:
            # A thread that nobody has to wait for, unlike one of the event loop's.
            last = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
            last.start()
            await asyncio.to_thread(last.join, min(LAST_S, remaining_s))


def open_tracing(service: str, version: str, endpoint: str | None) -> Tracing:
    """On where there is an endpoint and the packages are installed. The SDK reads its other settings (`OTEL_…`) itself."""
    if endpoint is None:
        return Tracing()
    try:
        # Only here: half a second and 30 MB that nobody pays who does not want traces.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        log.error(  # noqa: TRY400 - the text says it all
            "traces stay off: install tapedeck-servicekit[traces], or unset OTEL_EXPORTER_OTLP_ENDPOINT",
            extra={"reason": str(error)},
        )
        return Tracing()
    resource = Resource.create(
        {"service.namespace": "tapedeck", "service.name": service, "service.version": version}
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _link(traceparent: str) -> "Link | None":
    from opentelemetry.trace import Link  # noqa: PLC0415 - only where traces are on

    named = read_traceparent(traceparent)
    return None if named is None else Link(_context(named))


def _below(parent: str | None) -> "Context":
    """Where a span begins: below that one, or nowhere."""
    from opentelemetry.context import Context  # noqa: PLC0415 - only where traces are on
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context  # noqa: PLC0415 - the same

    named = read_traceparent(parent)
    return Context() if named is None else set_span_in_context(NonRecordingSpan(_context(named)), Context())


def _context(named: Traceparent) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415 - only where traces are on

    return SpanContext(named.trace_id, named.span_id, is_remote=True, trace_flags=TraceFlags(named.flags))
