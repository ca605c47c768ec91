"""A span for each request, below the one that its `traceparent` names. Owns what is told of it: never a path, for paths name users."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.tracing import Tracing
from storage_api.row import METHODS

OTHER_METHOD: Final = "_OTHER"
"""For methods that nobody knows, which clients could make up without end (OpenTelemetry, semantic conventions for HTTP)."""

_CONVERTER: Final = re.compile(r":\w+(?=\})")
"""Of a parameter in Starlette's templates: not for those who read traces."""


class RequestSpans:
    """ASGI middleware. Only where traces are on."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; everything else passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        about = {"http.request.method": method}
        parent = _traceparent(scope["headers"])
        with self._tracing.span("request", about, parent=parent, serves=True) as span:
            try:
                await self._app(scope, receive, told)
            finally:
                if span is not None:
                    # Starlette's router leaves it there: a template, with no name of anybody's.
                    route = _CONVERTER.sub("", getattr(scope.get("route"), "path", ""))
                    span.rename(f"{'HTTP' if method == OTHER_METHOD else method} {route}".strip())
                    if route:
                        span.tell({"http.route": route})
                    if status:
                        span.tell({"http.response.status_code": status})
                    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        span.fail()


def _traceparent(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The header, its lines joined as any others are (RFC 9110 §5.2): two are none."""
    return ", ".join(value.decode("latin-1").strip() for name, value in headers if name == b"traceparent")
