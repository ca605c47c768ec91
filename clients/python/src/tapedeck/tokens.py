"""User tokens of a system in dev mode: HS256 JWTs signed with its secret."""

from tapedeck.errors import TokenError

DEFAULT_LIFETIME_S = 24 * 3600


def mint(secret: str, uid: str, *, now_s: int, lifetime_s: int = DEFAULT_LIFETIME_S) -> str:
    """A token with which `uid` records and reads from `now_s` (unix) on. Raises TokenError without a secret."""
    if not secret:
        raise TokenError(
            "this system has no secret to sign user tokens with",
            hint="ask whoever runs its identity provider for a token and give it with --token",
        )
    import jwt  # noqa: PLC0415 - not needed for --help

    claims = {"sub": uid, "iat": now_s, "exp": now_s + lifetime_s}
    return jwt.encode(claims, secret, algorithm="HS256")


def subject(token: str) -> str | None:
    """The `sub` of a user token, unverified (the server verifies); None where it is no JWT: a service token."""
    import jwt  # noqa: PLC0415 - not needed for --help

    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    found = claims.get("sub")
    return found if isinstance(found, str) else None
