"""Problems: refusals over HTTP as `application/problem+json` (RFC 9457), each with a stable code and the request's id.

Owns the shape of an error answer, the error that handlers raise for one, the request id, and the Starlette handlers that turn
everything else (unknown route, wrong method, a bug) into the same shape. Must not decide what is refused.
"""

import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from servicekit.errors import ServicekitError
from servicekit.logs import log_context

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
REQUEST_ID_HEADER: Final = "X-Request-Id"

_request_id: ContextVar[str] = ContextVar("tapedeck_request_id", default="")
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}\Z")

_CODES: Final = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
}


class ProblemError(ServicekitError):
    """Raise it in a handler, and the client gets this status and code. `extra`: further members of the problem.

    `detail` is read by strangers: what was wrong and what to do, never a token, a path of ours or another user's name.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        self.retryable = status in {429, 503, 504}


def problem_body(status: int, code: str, detail: str, extra: Mapping[str, object] | None = None) -> bytes:
    """The JSON of a problem: type, title, status, code, detail, request_id (where a request is under way), and `extra`."""
    members: dict[str, object] = {
        "type": "about:blank",  # the title is then the status' own phrase (RFC 9457 §4.2.1); `code` tells problems apart
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if request_id():
        members["request_id"] = request_id()
    return msgspec.json.encode({**(extra or {}), **members})


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Response:
    """The response of a refusal. No cache keeps it, which some statuses let it without being told (RFC 9111 §4.2.2).

    401 gets its `WWW-Authenticate: Bearer` (RFC 9110 §11.6.1) where none is given.
    """
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    if status == HTTPStatus.UNAUTHORIZED and "www-authenticate" not in {name.lower() for name in all_headers}:
        all_headers["WWW-Authenticate"] = "Bearer"
    return Response(problem_body(status, code, detail, extra), status, all_headers, MEDIA_TYPE)


def request_id() -> str:
    """The id of the request that is being answered; "" outside of one."""
    return _request_id.get()


@contextmanager
def identified(given: str) -> Iterator[str]:
    """Inside, a request is answered: under its `X-Request-Id` where that is well-formed, else under a new id. The id."""
    chosen = given if _GIVEN_ID.match(given) else secrets.token_hex(8)
    token = _request_id.set(chosen)
    try:
        with log_context(request_id=chosen):
            yield chosen
    finally:
        _request_id.reset(token)


async def on_problem(_request: Request, error: Exception) -> Response:
    """Starlette's handler for ProblemError."""
    assert isinstance(error, ProblemError)  # noqa: S101 - Starlette calls it for nothing else
    return problem(error.status, error.code, error.detail, headers=error.headers, extra=error.extra)


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """Starlette's handler for its own HTTPException: unknown routes, methods that a route does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette calls it for nothing else
    code = _CODES.get(error.status_code, "error")
    return problem(error.status_code, code, error.detail, headers=error.headers)


async def on_bug(_request: Request, _error: Exception) -> Response:
    """Starlette's handler for everything else: told without its trace. Starlette raises it again: `RequestIds` logs it."""
    return problem(500, "internal", "something went wrong here; tell us the request_id")


EXCEPTION_HANDLERS: Final[Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]] = {
    ProblemError: on_problem,
    HTTPException: on_http_exception,
    Exception: on_bug,
}
"""For `Starlette(exception_handlers=dict(EXCEPTION_HANDLERS))`."""


class RequestIds:
    """Around the whole app, `RequestIds(Starlette(…))`: gives each request or handshake an id, and logs what fails.

    The id is the client's `X-Request-Id` where that is well-formed. It is in the answer's header, in every problem, and in the
    logs. An error that comes out of the app is logged here, and ends here where the client has its whole answer.
    """

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """One request, WebSocket or lifespan."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode(
            "latin-1"
        )
        answered = False

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            nonlocal answered
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                header = (REQUEST_ID_HEADER.lower().encode(), chosen.encode())
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        with identified(given) as chosen:
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                # Which handler, not which path: paths hold uids. Starlette's router leaves it in the scope.
                handler = getattr(scope.get("endpoint"), "__qualname__", None)
                log.exception("a request failed", extra={"handler": handler})
                if not answered:
                    raise  # the server must break the connection off, or the answer would look complete
