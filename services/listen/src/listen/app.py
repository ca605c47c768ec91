"""What is HTTP on the sockets' port: `POST /v1/tickets`, as a Starlette app, and problems for everything else.

Owns the routes and what one request goes through. The rules are elsewhere.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audiobus.errors import BusUnavailableError
from listen.admission import REDIS_S, Admission
from listen.comeback import REDIS_AWAY_S, retry_after_s
from listen.errors import RefusedError
from listen.messages import AWAY
from listen.tickets import TICKET_S, Tickets
from servicekit.auth import bearer
from servicekit.problem import EXCEPTION_HANDLERS, ProblemError, RequestIds, problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ListenApp:
    """The app of one process."""

    def __init__(self, admission: Admission, tickets: Tickets) -> None:
        self._admission = admission
        self._tickets = tickets
        routes = [Route("/v1/tickets", self._issue_ticket, methods=["POST", "OPTIONS"])]
        self.asgi: Callable[[Any, Any, Any], Awaitable[None]] = RequestIds(
            Starlette(routes=routes, exception_handlers=dict(EXCEPTION_HANDLERS))
        )

    async def _issue_ticket(self, request: Request) -> Response:
        if self._admission.foreign(request.headers.get("origin")):
            raise ProblemError(403, "forbidden", "this origin may not ask for tickets")
        cors = _cors(request)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=cors)
        token = bearer(request.headers.get("authorization"))
        if token is None:
            return problem(401, "unauthorized", "a token is needed", headers=cors)
        try:
            claims = await self._admission.verify(token)
            async with asyncio.timeout(REDIS_S):
                ticket = await self._tickets.issue(claims)
        except RefusedError as error:
            again = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
            return problem(error.status, error.code, error.message, headers={**cors, **again})
        except (BusUnavailableError, TimeoutError):
            return problem(
                503, "unavailable", AWAY, headers={**cors, "Retry-After": str(retry_after_s(REDIS_AWAY_S))}
            )
        body = {"ticket": ticket, "expires_in_s": TICKET_S}
        return JSONResponse(body, 201, headers={**cors, "Cache-Control": "no-store"})


def _cors(request: Request) -> dict[str, str]:
    """What lets an allowed origin's page read the answer; its origin has been checked before."""
    origin = request.headers.get("origin")
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "authorization, content-type",
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }
