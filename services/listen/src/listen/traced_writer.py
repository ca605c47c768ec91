"""The writer of a process whose traces are on: each chunk names the span of its session, so that the batch its audio ends in can be linked to it."""

from dataclasses import replace

from audiobus import AppendRequest, Bus, Writer
from audiobus.append import AppendAnswer
from listen.session_spans import SessionSpans


class TracedWriter(Writer):
    """Stamps what it appends."""

    def __init__(self, bus: Bus, spans: SessionSpans) -> None:
        super().__init__(bus)
        self._spans = spans

    async def append(self, request: AppendRequest) -> AppendAnswer:
        """As `Writer.append`."""
        return await super().append(replace(request, traceparent=self._spans.traceparent(request)))
