"""User tokens: making those of a system in dev mode (HS256 JWTs signed with its secret), and whom a token speaks for.

Owns how the client finds the uid that the services take from a token: by the same claim and the same hash as they.
"""

from collections.abc import Mapping

from servicekit.ids import uid_from_claim, valid_id
from tapedeck.errors import TokenError

DEFAULT_LIFETIME_S = 24 * 3600
DEFAULT_CLAIM = "sub"


def uid_claim(environ: Mapping[str, str]) -> str:
    """The claim that names the user, as the services read it: TAPEDECK_JWT_UID_CLAIM, else `sub`."""
    return environ.get("TAPEDECK_JWT_UID_CLAIM") or DEFAULT_CLAIM


def named_uid(name: str) -> str:
    """The uid that somebody means who names it, or who names an identity that is none, such as `auth0|abc`."""
    return name if valid_id(name) else uid_from_claim(name)


def mint(
    secret: str,
    user: str,
    *,
    now_s: int,
    lifetime_s: int = DEFAULT_LIFETIME_S,
    claim: str = DEFAULT_CLAIM,
) -> str:
    """A token with which `user` (a uid, or an identity) records and reads from `now_s` (unix) on.

    Raises TokenError without a secret, and for a uid that is an identity's hash: only the identity itself can stand in a token.
    """
    if not secret:
        raise TokenError(
            "this system has no secret to sign user tokens with",
            hint="ask whoever runs its identity provider for a token and give it with --token",
        )
    if uid_from_claim(user) != named_uid(user):
        raise TokenError(
            f"no token can speak for {user}, which is the hash of an identity",
            hint="name the identity itself, as it stands in tokens",
        )
    import jwt  # noqa: PLC0415 - not needed for --help

    claims = {DEFAULT_CLAIM: user, claim: user, "iat": now_s, "exp": now_s + lifetime_s}
    return jwt.encode(claims, secret, algorithm="HS256")


def subject(token: str, claim: str = DEFAULT_CLAIM) -> str | None:
    """The uid that a user token speaks for, unverified (the server verifies); None where it is no JWT: a service token.

    Raises TokenError where there is no text in the claim: the services take no such token.
    """
    import jwt  # noqa: PLC0415 - not needed for --help

    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    found = claims.get(claim)
    if not isinstance(found, str) or not found:
        raise TokenError(
            f"the token has no text in its claim {claim!r}, so it names no user",
            hint="TAPEDECK_JWT_UID_CLAIM names the claim that the services take the user from; --user names the user",
        )
    return uid_from_claim(found)
