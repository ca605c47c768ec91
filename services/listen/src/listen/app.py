"""What is HTTP on the sockets' port: `POST /v1/tickets`, as a Starlette app, and problems for everything else.

Owns the routes and what one request goes through. The rules are elsewhere.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audiobus.errors import BusUnavailableError
from listen.admission import Admission
from listen.allowance import REDIS_S
from listen.comeback import REDIS_AWAY_S, retry_after_s
from listen.errors import RefusedError
from listen.messages import AWAY
from listen.metrics import ListenMetrics
from listen.proxies import TrustedProxies
from listen.ticket_rate import TicketRate
from listen.tickets import TICKET_S, Tickets
from servicekit.auth import Claims, bearer
from servicekit.problem import EXCEPTION_HANDLERS, ProblemError, RequestIds, problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ListenApp:
    """The app of one process."""

    def __init__(
        self, admission: Admission, tickets: Tickets, proxies: TrustedProxies, metrics: ListenMetrics
    ) -> None:
        self._admission = admission
        self._tickets = tickets
        self._rate = TicketRate()
        self._proxies = proxies
        self._metrics = metrics
        routes = [Route("/v1/tickets", self._issue_ticket, methods=["POST", "OPTIONS"])]
        self.asgi: Callable[[Any, Any, Any], Awaitable[None]] = RequestIds(
            Starlette(routes=routes, exception_handlers=dict(EXCEPTION_HANDLERS))
        )

    async def _issue_ticket(self, request: Request) -> Response:
        if self._admission.foreign(request.headers.get("origin")):
            self._metrics.refused["origin"].inc()
            raise ProblemError(403, "forbidden", "this origin may not ask for tickets")
        cors = _cors(request)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=cors)
        try:
            claims = await self._asked_by(request)
            self._rate.take(claims.uid, time.monotonic())
            ticket = await self._issued(claims)
        except RefusedError as error:
            self._metrics.refused[error.reason].inc()
            again = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
            return problem(error.status, error.code, error.message, headers={**cors, **again})
        body = {"ticket": ticket, "expires_in_s": TICKET_S}
        return JSONResponse(body, 201, headers={**cors, "Cache-Control": "no-store"})

    async def _asked_by(self, request: Request) -> Claims:
        """Whom the request's token proves.

        Raises:
            RefusedError: as a handshake's.
        """
        token = bearer(request.headers.get("authorization"))
        if token is None:
            raise RefusedError(401, "unauthorized", "a token is needed")
        peer = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        forwarded_for = ", ".join(forwarded) if forwarded else None
        address = self._proxies.client_of(peer, forwarded_for)
        certain = self._proxies.certain(address, forwarded_for)
        return await self._admission.verify(token, address, certain=certain)

    async def _issued(self, claims: Claims) -> str:
        """A new ticket.

        Raises:
            RefusedError: 503, Redis is away.
        """
        try:
            async with asyncio.timeout(REDIS_S):
                return await self._tickets.issue(claims)
        except (BusUnavailableError, TimeoutError) as error:
            raise RefusedError(503, "unavailable", AWAY, retry_after_s=retry_after_s(REDIS_AWAY_S)) from error


def _cors(request: Request) -> dict[str, str]:
    """What lets an allowed origin's page read the answer; its origin has been checked before."""
    origin = request.headers.get("origin")
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "authorization, content-type",
        "Access-Control-Expose-Headers": "Retry-After",
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }
