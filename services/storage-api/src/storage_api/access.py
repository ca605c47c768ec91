"""Who may do what: a user their own audio, a service what its scopes say, for any user.

A foreign uid is 404, so that nobody learns who exists. Must not look at audio.
"""

from dataclasses import dataclass

from starlette.requests import Request

from audiobus import Conversation
from servicekit.auth import UserTokens, bearer
from servicekit.errors import AuthError
from servicekit.problem import ProblemError
from servicekit.service_tokens import Scope, ServiceTokens
from storage_api.parameters import path_id
from storage_api.recording import not_found


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks."""

    kind: str
    """`user` or `service`."""
    name: str
    """Of the service; empty for a user, whose id stays out of the logs."""


class Access:
    """Checks tokens."""

    def __init__(self, users: UserTokens, services: ServiceTokens) -> None:
        self._users = users
        self._services = services

    async def allow(self, request: Request, scope: Scope) -> Actor:
        """Who asks, if they may do this to the path's `uid`.

        ProblemError: 404 for another's uid, and as `identify`.
        """
        actor, uid = await self.identify(request, scope)
        if uid not in (None, request.path_params["uid"]):
            raise not_found()
        return actor

    async def allow_operator(self, request: Request, scope: Scope) -> Actor:
        """Which service asks, if it may do this: no user may. ProblemError as in `allow`, 403 `forbidden` for a user."""
        actor, _ = await self.identify(request, scope)
        services_only(actor)
        return actor

    async def identify(self, request: Request, *scopes: Scope) -> tuple[Actor, str | None]:
        """Who asks, and the user whose things alone they may see; None for a service that may do this to any user's.

        A service needs one of these scopes. Whoever is let in has one of the places that the route's row names, until it is answered.

        ProblemError: 401 without a good token, 403 `forbidden` for a service without the scope, 503 where no token can be checked, or where
        there is no place (`busy`).
        """
        actor, uid = await self._who(request, scopes)
        request.state.let_in(caller_of(actor, uid or ""))
        return actor, uid

    async def _who(self, request: Request, scopes: tuple[Scope, ...]) -> tuple[Actor, str | None]:
        token = bearer(request.headers.get("authorization"))
        if token is None:
            raise ProblemError(401, "unauthorized", "send a token: Authorization: Bearer …")
        service = self._services.verify(token)
        if service is not None:
            if not service.scopes & frozenset(scopes):
                missing = " or ".join(scopes)
                raise ProblemError(403, "forbidden", f"this service token has not the scope {missing}")
            return Actor("service", service.name), None
        try:
            claims = await self._users.verify(token)
        except AuthError as error:
            if error.retryable:
                detail = "tokens cannot be checked at the moment; try again"
                raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "2"}) from error
            detail = (
                "the token has expired" if error.code == "token_expired" else "the token is not good here"
            )
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise ProblemError(401, error.code, detail, headers=challenge) from error
        return Actor("user", ""), claims.uid


def caller_of(actor: Actor, uid: str) -> tuple[str, str]:
    """Whose request it is that this user or service makes for `uid`: what is shared out among callers goes by it."""
    return actor.kind, actor.name or uid


def services_only(actor: Actor) -> None:
    """ProblemError 403 `forbidden` for a user."""
    if actor.kind != "service":
        raise ProblemError(403, "forbidden", "only services may do this, by a token with the scope for it")


def conversation_of(request: Request) -> Conversation:
    """The conversation that the path names. ProblemError 400 `bad_id`."""
    uid = path_id("the user id", request.path_params["uid"])
    return Conversation(uid, path_id("the conversation id", request.path_params["cid"]))
