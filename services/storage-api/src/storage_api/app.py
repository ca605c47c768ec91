"""The ASGI app: routes, errors as problem+json, and the counting of requests. Opens and closes nothing."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import BaseRoute, Mount, Route

from servicekit.problem import EXCEPTION_HANDLERS, RequestIds
from storage_api.audio import audio
from storage_api.chunks import list_chunks
from storage_api.console import ConsoleFiles, console_folder, to_console
from storage_api.conversations import list_conversations, one_conversation
from storage_api.flush import flush
from storage_api.services import Services

Message = MutableMapping[str, Any]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

_CONVERSATIONS: Final = "/v1/users/{uid:segment}/conversations"
_CONVERSATION: Final = _CONVERSATIONS + "/{cid:segment}"
_LABELS: Final[dict[object, str]] = {
    list_conversations: "conversations",
    one_conversation: "conversation",
    list_chunks: "chunks",
    audio: "audio",
    flush: "flush",
}


class SegmentConvertor(Convertor[str]):
    """One part of a path, up to a slash or the colon before a verb; the handlers check ids themselves."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


def build_app(services: Services) -> ASGIApp:
    """The app over these services."""
    register_url_convertor("segment", SegmentConvertor())
    routes: list[BaseRoute] = [
        Route(_CONVERSATIONS, list_conversations, methods=["GET"]),
        Route(_CONVERSATION, one_conversation, methods=["GET"]),
        Route(_CONVERSATION + ":flush", flush, methods=["POST"]),
        Route(_CONVERSATION + "/chunks", list_chunks, methods=["GET"]),
        Route(_CONVERSATION + "/audio", audio, methods=["GET"]),
    ]
    folder = console_folder()
    if folder is not None:
        routes.append(Route("/console", to_console, methods=["GET"]))
        routes.append(Mount("/console", ConsoleFiles(directory=folder, html=True), name="console"))
    app = Starlette(routes=routes, exception_handlers=dict(EXCEPTION_HANDLERS))
    app.router.redirect_slashes = False  # a path with a slash too many is another path
    app.state.services = services
    return RequestIds(Counted(app, services))


class Counted:
    """ASGI middleware: counts requests and how long they take, by route, never by path."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._metrics = services.metrics

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
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
            route = self._route(scope)
            self._metrics.requests[scope["method"], route, str(status)].inc()
            self._metrics.request_seconds[route].observe(time.perf_counter() - began)

    @staticmethod
    def _route(scope: Message) -> str:
        if scope.get("path", "").startswith("/console"):
            return "console"
        return _LABELS.get(scope.get("endpoint"), "other")
