"""The writer of a process whose traces are on: each chunk names the span of its session, so that the batch its audio ends in can be linked to it.

The span tells that the session was there: it is made with the first chunk that a socket appends, and over at once, for sessions last for hours, and what is not over
is not delivered. Owns which span belongs to whom.
"""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from audiobus import AppendRequest, Bus, Writer
from audiobus.append import AppendAnswer
from servicekit.tracing import Tracing

KEPT: Final = 10_000
"""Sessions whose spans are known; one that is forgotten has another with its next chunk."""


class TracedWriter(Writer):
    """Stamps what it appends."""

    def __init__(self, bus: Bus, tracing: Tracing) -> None:
        super().__init__(bus)
        self._tracing = tracing
        self._spans: OrderedDict[tuple[str, int], str] = OrderedDict()
        """The `traceparent` by socket and session, those that were used last at the end."""

    async def append(self, request: AppendRequest) -> AppendAnswer:
        """As `Writer.append`."""
        return await super().append(replace(request, traceparent=self._traceparent(request)))

    def _traceparent(self, request: AppendRequest) -> str:
        whose = (request.owner, request.id.epoch)
        found = self._spans.get(whose)
        if found is None:
            about = {"conversation_id": request.conversation.cid, "session": request.id.epoch}
            span = self._tracing.begin("session", about)
            span.end()
            found = self._spans[whose] = span.traceparent
            if len(self._spans) > KEPT:
                self._spans.popitem(last=False)
        self._spans.move_to_end(whose)
        return found
