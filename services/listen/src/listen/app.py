"""The public face: `/v4/listen`, `/v4/web/listen` and `POST /v1/tickets`, as a Starlette app.

Owns the routes and what one request goes through. The rules are elsewhere.
"""

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from audiobus.errors import BusUnavailableError
from listen.admission import REDIS_S, Admission, Admitted, refuse
from listen.connection import Backend, Connection, now_ms
from listen.encoding import SocketEncoder
from listen.errors import RefusedError
from listen.messages import AWAY
from listen.settings import ListenSettings
from listen.sockets import Sockets
from listen.terms import Terms
from listen.tickets import TICKET_S, Tickets
from servicekit.auth import bearer
from servicekit.ids import new_conversation_id
from servicekit.metrics import OTHER
from servicekit.problem import EXCEPTION_HANDLERS, ProblemError, RequestIds, problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

BAD_PARAMETER: Final = 4400


class ListenApp:
    """The app of one process."""

    def __init__(
        self,
        settings: ListenSettings,
        backend: Backend,
        admission: Admission,
        tickets: Tickets,
        sockets: Sockets,
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._admission = admission
        self._tickets = tickets
        self._sockets = sockets
        routes = [
            WebSocketRoute("/v4/listen", self._listen),
            WebSocketRoute("/v4/web/listen", self._web_listen),
            WebSocketRoute("/{path:path}", self._nothing_here),  # else Starlette refuses it with an empty 403
            Route("/v1/tickets", self._issue_ticket, methods=["POST", "OPTIONS"]),
        ]
        self.asgi: Callable[[Any, Any, Any], Awaitable[None]] = RequestIds(
            Starlette(routes=routes, exception_handlers=dict(EXCEPTION_HANDLERS))
        )

    async def _listen(self, websocket: WebSocket) -> None:
        await self._take(websocket, first_message=False)

    async def _web_listen(self, websocket: WebSocket) -> None:
        await self._take(websocket, first_message=True)

    async def _nothing_here(self, websocket: WebSocket) -> None:
        self._backend.metrics.refused[OTHER].inc()
        await websocket.send_denial_response(problem(404, "not_found", "Not Found"))

    async def _take(self, websocket: WebSocket, *, first_message: bool) -> None:
        """One handshake, and the socket that comes of it."""
        refused = self._backend.metrics.refused
        if self._admission.foreign(websocket.headers):
            refused["origin"].inc()
            await websocket.send_denial_response(problem(403, "forbidden", "this origin may not connect"))
            return
        try:
            try:
                with self._sockets.place():
                    await self._admit_and_serve(websocket, first_message=first_message)
            except RefusedError as error:
                refused[error.reason].inc()
                await refuse(websocket, error, self._admission)
        except (WebSocketDisconnect, TimeoutError):
            log.debug("a client left during its handshake")

    async def _admit_and_serve(self, websocket: WebSocket, *, first_message: bool) -> None:
        arrived_ms = now_ms()
        admitted = await self._admission.admit(websocket, first_message=first_message)
        with self._sockets.place_of(admitted.claims.uid):
            await self._admission.accept(websocket)
            await self._serve(websocket, admitted, arrived_ms)

    async def _serve(self, websocket: WebSocket, admitted: Admitted, arrived_ms: int) -> None:
        opening = admitted.opening
        if opening.mismatch is not None:
            raise RefusedError(400, "bad_parameter", opening.mismatch, close_code=BAD_PARAMETER)
        expires_at = admitted.claims.expires_at
        terms = Terms(
            arrived_ms=arrived_ms,
            uid=admitted.claims.uid,
            owner=uuid.uuid4().hex,
            conversation_id=opening.conversation_id or new_conversation_id(),
            resume=opening.resume,
            dialect=admitted.dialect,
            audio_format=opening.audio_format,
            chunk_ms=self._settings.chunk_ms,
            batch_ms=int(self._settings.batch_seconds * 1000),
            due_ms=int(min(self._settings.batch_seconds, self._settings.idle_seconds) * 1000),
            expires_at_ms=None if expires_at is None else int(expires_at * 1000),
        )
        encoder = SocketEncoder(
            opening.audio_format,
            bitrate=self._settings.opus_bitrate,
            complexity=self._settings.opus_complexity,
        )
        connection = Connection(
            terms,
            encoder,
            self._backend,
            receive=websocket._receive,  # noqa: SLF001 - Starlette's own checks cost more than the session
            send=websocket._send,  # noqa: SLF001 - as above
        )
        await self._sockets.serve(connection)

    async def _issue_ticket(self, request: Request) -> Response:
        if self._admission.foreign(request.headers):
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
            return problem(error.status, error.code, error.message, headers=cors)
        except (BusUnavailableError, TimeoutError):
            return problem(503, "unavailable", AWAY, headers={**cors, "Retry-After": "5"})
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
