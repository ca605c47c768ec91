"""The spans of the sessions on this process's sockets.

A session lasts for hours, and a span is delivered when it is over: so a session is told in stretches of a few minutes, each a span that names the one before,
all in one trace. That is the trace of the client's own span where its handshake named one (`traceparent`). Owns which span is under way on which socket.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from audiobus import AppendRequest
from servicekit.traceparent import read_traceparent
from servicekit.tracing import Span, Tracing

STRETCH_S: Final = 300.0
"""A span for five batches: what a process that is killed had under way is never delivered, and batches then name what nobody finds."""


@dataclass(slots=True)
class _Stretch:
    """A span under way."""

    span: Span
    epoch: int
    number: int
    """1 with the first chunk of a session on this socket."""
    since: float
    above: str
    """What the session's spans are below: the client's, or else the first of them."""
    named: str
    """Beside its chunks; "" where it is not kept, for then nobody finds it."""

    def of(self, epoch: int, now: float) -> bool:
        """Whether what is appended now still belongs to it."""
        return self.epoch == epoch and now - self.since < STRETCH_S


@dataclass(slots=True)
class _Socket:
    """One that is open."""

    client: str
    """The client's `traceparent`, or what it sent for one."""
    stretch: _Stretch | None = None


class SessionSpans:
    """Of one process. Where traces are off nothing is kept."""

    def __init__(self, tracing: Tracing, clock: Callable[[], float] = time.monotonic) -> None:
        self._tracing = tracing
        self._clock = clock
        self._sockets: dict[str, _Socket] = {}

    @contextmanager
    def of_socket(self, owner: str, traceparent: str | None) -> Iterator[None]:
        """Around the life of a socket, whose handshake had that header."""
        if not self._tracing.on:
            yield
            return
        self._sockets[owner] = _Socket(traceparent or "")
        try:
            yield
        finally:
            stretch = self._sockets.pop(owner).stretch
            if stretch is not None:
                stretch.span.end()

    def traceparent(self, request: AppendRequest) -> str:
        """Of the span that this chunk belongs to; "" where its session is not kept."""
        socket = self._sockets.get(request.owner)
        if socket is None:
            return ""
        now = self._clock()
        if socket.stretch is None or not socket.stretch.of(request.id.epoch, now):
            socket.stretch = self._next(socket, request, now)
        return socket.stretch.named

    def _next(self, socket: _Socket, request: AppendRequest, now: float) -> _Stretch:
        before, epoch = socket.stretch, request.id.epoch
        number, above = 1, socket.client
        links: list[str] = []
        if before is not None:
            before.span.end()
            if before.epoch == epoch:
                number, above, links = before.number + 1, before.above, [before.span.traceparent]
        about = {"conversation_id": request.conversation.cid, "session": epoch, "stretch": number}
        span = self._tracing.begin("session", about, links, parent=above, serves=True)
        own = span.traceparent
        above = above if read_traceparent(above) else own
        return _Stretch(span, epoch, number, now, above, own if span.sampled else "")
