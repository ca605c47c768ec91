"""The handshake: who may record, and what. Everything that can be known before the socket is accepted is checked here.

Owns the order of the checks and who sees which kind of refusal. The rules of the query are `opening`'s.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from audiobus import Bus
from audiobus.errors import BusUnavailableError
from listen import messages
from listen.errors import RefusedError
from listen.messages import AWAY
from listen.opening import Opening, read_opening
from listen.recording import Dialect
from listen.tickets import Tickets
from servicekit.auth import Claims, UserTokens, bearer
from servicekit.errors import AuthError
from servicekit.problem import problem

V1: Final = "tapedeck.v1"
BEARER_PREFIX: Final = "tapedeck.bearer."
FIRST_MESSAGE_S: Final = 5.0
REDIS_S: Final = 3.0
"""How long the handshake waits for Redis."""
SEND_S: Final = 5.0
TOO_BIG: Final = 1009


@dataclass(frozen=True, slots=True)
class Admitted:
    """A client that may record."""

    claims: Claims
    opening: Opening
    dialect: Dialect


class Admission:
    """Decides about handshakes."""

    def __init__(self, bus: Bus, tokens: UserTokens, tickets: Tickets, origins: tuple[str, ...]) -> None:
        self._bus = bus
        self._tokens = tokens
        self._tickets = tickets
        self._origins = frozenset(origins)

    def dialect(self, websocket: WebSocket) -> Dialect:
        """v1 where the client offers its subprotocol."""
        return "v1" if V1 in websocket.scope["subprotocols"] else "plain"

    def foreign(self, headers: Mapping[str, str]) -> bool:
        """Whether the request comes from a web page that may not."""
        origin = headers.get("origin")
        return origin is not None and origin not in self._origins

    def sees_only_sockets(self, websocket: WebSocket) -> bool:
        """Whether the client is a browser, which gets no HTTP answer to see: it is accepted first, and then told."""
        return (
            "origin" in websocket.headers
            or "ticket" in websocket.query_params
            or _offered_token(websocket) is not None
            or websocket.application_state is WebSocketState.CONNECTED
        )

    async def accept(self, websocket: WebSocket) -> None:
        """Accepts the socket, if it is not yet."""
        if websocket.application_state is WebSocketState.CONNECTING:
            async with asyncio.timeout(SEND_S):
                await websocket.accept(subprotocol=V1 if self.dialect(websocket) == "v1" else None)

    async def admit(self, websocket: WebSocket, *, first_message: bool) -> Admitted:
        """Checks a handshake.

        Args:
            websocket: not accepted yet; it is on return only where the token came in the first message.
            first_message: a client without any other token may send it in its first message.

        Raises:
            RefusedError: with what to answer.
        """
        claims = await self._claims(websocket, first_message=first_message)
        dialect = self.dialect(websocket)
        opening = read_opening(websocket.query_params, dialect)
        try:
            async with asyncio.timeout(REDIS_S):
                settings = await self._bus.user_settings(claims.uid)
        except (BusUnavailableError, TimeoutError) as error:
            raise RefusedError(503, "unavailable", AWAY, retry_after_s=5) from error
        if settings.get("store_audio", "").lower() in ("0", "false"):
            raise RefusedError(403, "storing_off", "storing is off for this user")
        return Admitted(claims, opening, dialect)

    async def verify(self, token: str) -> Claims:
        """Who a token proves its bearer to be.

        Raises:
            RefusedError: 401, or 503 where it cannot be checked now.
        """
        try:
            return await self._tokens.verify(token)
        except AuthError as error:
            if error.retryable:
                raise RefusedError(
                    503, "unavailable", "tokens cannot be checked now", retry_after_s=5
                ) from error
            if error.code == "token_expired":
                raise RefusedError(401, "token_expired", "the token has expired") from error
            raise RefusedError(401, "unauthorized", "the token is not valid") from error

    async def _claims(self, websocket: WebSocket, *, first_message: bool) -> Claims:
        token = bearer(websocket.headers.get("authorization")) or _offered_token(websocket)
        if token is not None:
            return await self.verify(token)
        ticket = websocket.query_params.get("ticket")
        if ticket:
            try:
                async with asyncio.timeout(REDIS_S):
                    claims = await self._tickets.take(ticket)
            except (BusUnavailableError, TimeoutError) as error:
                raise RefusedError(503, "unavailable", AWAY, retry_after_s=5) from error
            if claims is None:
                raise RefusedError(401, "unauthorized", "the ticket is unknown, used or expired")
            return claims
        if not first_message:
            raise RefusedError(401, "unauthorized", "a token is needed")
        await self.accept(websocket)
        return await self.verify(await _first_message(websocket))


async def refuse(websocket: WebSocket, error: RefusedError, admission: Admission) -> None:
    """Answers a refusal: over HTTP, or to a browser as an error and a close."""
    if not admission.sees_only_sockets(websocket):
        headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
        response = problem(error.status, error.code, error.message, headers=headers)
        async with asyncio.timeout(SEND_S):
            await websocket.send_denial_response(response)
        return
    retry_after_ms = None if error.retry_after_s is None else 1000 * error.retry_after_s
    await admission.accept(websocket)
    async with asyncio.timeout(SEND_S):
        await websocket.send_text(messages.error(error.code, error.message, retry_after_ms))
        await websocket.close(error.close_code)
    await _drain(websocket)


async def _drain(websocket: WebSocket) -> None:
    """Reads what still comes, so that the server can let go of the socket."""
    try:
        async with asyncio.timeout(SEND_S):
            while (await websocket.receive())["type"] != "websocket.disconnect":
                pass
    except TimeoutError:
        return  # it does not answer the close; the connection is broken off


async def _first_message(websocket: WebSocket) -> str:
    try:
        async with asyncio.timeout(FIRST_MESSAGE_S):
            message: Mapping[str, Any] = await websocket.receive()
    except TimeoutError as error:
        raise RefusedError(401, "unauthorized", "no token came within 5 s") from error
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect
    parsed = messages.parse_client_text(message.get("text") or "")
    if isinstance(parsed, messages.AuthFirst):
        return parsed.token
    if isinstance(parsed, messages.TooBig):
        raise RefusedError(
            400, "too_big", f"a message has at most {messages.MAX_MESSAGE_BYTES} bytes", close_code=TOO_BIG
        )
    raise RefusedError(401, "unauthorized", "the first message must be the token")


def _offered_token(websocket: WebSocket) -> str | None:
    for offered in websocket.scope["subprotocols"]:
        if offered.startswith(BEARER_PREFIX):
            return str(offered.removeprefix(BEARER_PREFIX))
    return None
