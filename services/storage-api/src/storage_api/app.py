"""The ASGI app: routes, errors as problem+json, and the counting of requests. Opens and closes nothing."""

import time
from importlib.metadata import version

import msgspec
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.metrics import OTHER
from servicekit.problem import EXCEPTION_HANDLERS, RequestIds
from servicekit.tracing import Tracing
from storage_api.console import ConsoleFiles, console_folder, to_console
from storage_api.escaped_slashes import EscapedSlashes
from storage_api.openapi import describe
from storage_api.request_span import RequestSpans
from storage_api.resource import resources
from storage_api.routes import TABLE
from storage_api.services import Services
from storage_api.stalled_clients import StalledClients


def build_app(services: Services, tracing: Tracing | None = None) -> ASGIApp:
    """The app over these services; each request is a span where traces are on."""
    routes: list[BaseRoute] = [resource.route for resource in resources(TABLE)]
    folder = console_folder()
    if folder is not None:
        routes.append(Route("/console", to_console, methods=["GET"], name="console"))
        routes.append(Mount("/console", ConsoleFiles(directory=folder, html=True), name="console"))
    app = Starlette(routes=routes, exception_handlers=dict(EXCEPTION_HANDLERS))
    app.router.redirect_slashes = False  # a path with a slash too many is another path
    app.state.services = services
    app.state.openapi = msgspec.json.encode(describe(TABLE, version("tapedeck-storage-api")))
    counted = EscapedSlashes(StalledClients(Counted(app, services), services.metrics.stalled.inc))
    identified = RequestIds(counted)  # logs what broke: inside the span
    return RequestSpans(identified, tracing) if tracing is not None and tracing.on else identified


class Counted:
    """ASGI middleware: counts requests and how long they take, by route, never by path."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._metrics = services.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; everything else passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            # Starlette's router leaves it there, for 405 too.
            route = getattr(scope.get("route"), "name", OTHER)
            self._metrics.requests[scope["method"], route, str(status)].inc()
            self._metrics.request_seconds[route].observe(time.perf_counter() - began)
