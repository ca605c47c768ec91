"""The handshake: who may record, and what. Everything that can be known before the socket is accepted is checked here.

Owns the order of the checks and who sees which kind of refusal. The rules of the query are `opening`'s. Must not know sockets.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from audiobus import Bus, UserState
from audiobus.errors import BusUnavailableError
from listen.addresses import is_public
from listen.allowance import REDIS_S, Allowance, admit_user
from listen.comeback import REDIS_AWAY_S, retry_after_s
from listen.errors import NotOursError, RefusedError
from listen.failed_auth import FailedAuth
from listen.handshake import PARAMETERS_LIMIT, QUERY_BYTES_LIMIT, Handshake
from listen.messages import AWAY
from listen.opening import Opening, read_opening
from listen.origins import same_origin
from listen.recording import Dialect
from listen.tickets import Tickets
from servicekit.auth import Claims, UserTokens, bearer
from servicekit.errors import AuthError

V1: Final = "tapedeck.v1"
BEARER_PREFIX: Final = "tapedeck.bearer."

TOO_MUCH: Final = f"a query has at most {PARAMETERS_LIMIT} parameters and {QUERY_BYTES_LIMIT} bytes"

FirstToken = Callable[[], Awaitable[str]]
Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A client that may record."""

    claims: Claims
    opening: Opening
    dialect: Dialect
    user: UserState
    """What is set for the user, and what they have used today."""


class Admission:
    """Decides about handshakes."""

    def __init__(
        self,
        bus: Bus,
        tokens: UserTokens,
        tickets: Tickets,
        origins: tuple[str, ...],
        allowance: Allowance,
    ) -> None:
        self._bus = bus
        self._tokens = tokens
        self._tickets = tickets
        self._origins = frozenset(origins)
        self._failed = FailedAuth()
        self._allowance = allowance

    def foreign(self, origin: str | None) -> bool:
        """Whether the request comes from a web page that may not."""
        return origin is not None and same_origin(origin) not in self._origins

    async def admit(self, handshake: Handshake, first_token: FirstToken | None) -> Admitted:
        """Checks a handshake.

        Args:
            handshake: from an origin that may.
            first_token: accepts the socket and answers the token of its first message, for a client without any other; None
                where none may come so.

        Raises:
            RefusedError: with what to answer.
        """
        if handshake.crowded:
            raise RefusedError(400, "bad_parameter", TOO_MUCH)
        claims = await self._proved(handshake, first_token)
        offered = dialect(handshake)
        opening = read_opening(handshake.query, offered)
        user = await admit_user(self._bus, self._allowance, claims.uid, time.time_ns() // 1_000_000)
        return Admitted(claims, opening, offered, user)

    async def verify(self, token: str, address: str, *, certain: bool) -> Claims:
        """Who the token of a request proves its bearer to be. `address` and `certain` are as in `Handshake`.

        Raises:
            RefusedError: 401; 429, too many tokens from there were not valid; 503, it cannot be checked now.
        """
        with self._braked(address, certain=certain):
            return await self._verify(token)

    async def _verify(self, token: str) -> Claims:
        try:
            return await self._tokens.verify(token)
        except AuthError as error:
            if error.retryable:
                raise RefusedError(
                    503,
                    "unavailable",
                    "tokens cannot be checked now",
                    retry_after_s=retry_after_s(REDIS_AWAY_S),
                ) from error
            if error.code == "token_expired":
                raise RefusedError(401, "token_expired", "the token has expired") from error
            raise NotOursError(401, "unauthorized", "the token is not valid") from error

    async def _proved(self, handshake: Handshake, first_token: FirstToken | None) -> Claims:
        """Who it is."""
        with self._braked(handshake.address, certain=handshake.certain) as check:
            return await self._claims(handshake, first_token, check)

    @contextmanager
    def _braked(self, address: str, *, certain: bool) -> Iterator[Check]:
        """Somebody is asked inside who they are: who guesses is held back for a while. Answers how that is looked at again."""
        guesser = address if certain and is_public(address) else ""

        def check() -> None:
            self._failed.check(guesser, time.monotonic())

        check()
        try:
            yield check
        except NotOursError:
            self._failed.failed(guesser, time.monotonic())
            raise

    async def _claims(self, handshake: Handshake, first_token: FirstToken | None, check: Check) -> Claims:
        token = bearer(handshake.headers.get("authorization")) or _offered_token(handshake)
        if token is not None:
            return await self._verify(token)
        ticket = handshake.query.get("ticket")
        if ticket:
            try:
                async with asyncio.timeout(REDIS_S):
                    claims = await self._tickets.take(ticket)
            except (BusUnavailableError, TimeoutError) as error:
                raise RefusedError(
                    503, "unavailable", AWAY, retry_after_s=retry_after_s(REDIS_AWAY_S)
                ) from error
            if claims is None:
                raise NotOursError(401, "unauthorized", "the ticket is unknown, used or expired")
            if claims.expires_at is not None and claims.expires_at <= time.time():
                raise RefusedError(
                    401, "token_expired", "the token that the ticket was given for has expired"
                )
            return claims
        if first_token is None:
            raise RefusedError(401, "unauthorized", "a token is needed")
        token = await first_token()
        check()  # others may have guessed from there while it was waited for
        return await self._verify(token)


def dialect(handshake: Handshake) -> Dialect:
    """v1 where the client offers its subprotocol."""
    return "v1" if V1 in handshake.subprotocols else "plain"


def sees_only_sockets(handshake: Handshake) -> bool:
    """Whether the client is a browser, which gets no HTTP answer to see: it is accepted first, and then told."""
    return "origin" in handshake.headers or handshake.offers_ticket or _offered_token(handshake) is not None


def _offered_token(handshake: Handshake) -> str | None:
    for offered in handshake.subprotocols:
        if offered.startswith(BEARER_PREFIX):
            return offered.removeprefix(BEARER_PREFIX)
    return None
