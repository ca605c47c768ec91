"""User tokens: who speaks, proved by a JWT (RFC 7519, checked as RFC 8725 advises).

Owns verification. Keys come only from the settings (`keys`, `jwks`): `jku`, `x5u`, `x5c` and `jwk` in a token's header are
ignored, and which algorithms are allowed follows from the key. Must not decide what a user may do.
"""

import asyncio
import importlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Protocol, Self

import msgspec

from servicekit.errors import AuthError
from servicekit.groups import AuthSettings, read_secret
from servicekit.health import Health
from servicekit.ids import uid_from_claim
from servicekit.jwks import Jwks
from servicekit.jwks_metrics import JwksMetrics
from servicekit.keys import VerificationKey, fitting, public_key, secret_key
from servicekit.metrics import Metrics

MAX_TOKEN_BYTES: Final = 8 * 1024
MAX_CLAIM_LENGTH: Final = 1024  # of the claim that names the user
LAST_SECOND: Final = 253402300799  # 9999-12-31: an `exp` beyond means the same


class Claims(msgspec.Struct, frozen=True):
    """What a token proved."""

    uid: str
    """A valid id (see `ids.uid_from_claim`)."""
    expires_at: float | None
    """`exp`, unix seconds, without leeway: that is for clocks that differ when a token is verified; None: it never ends."""


class KeySource(Protocol):
    """Where keys come from: a fixed one, or `jwks.Jwks`."""

    async def keys(self, key_id: str | None) -> Sequence[VerificationKey]:
        """The keys that may verify a token with this `kid`."""


class FixedKey:
    """A `KeySource` of one key."""

    def __init__(self, key: VerificationKey) -> None:
        self._keys = (key,)

    async def keys(self, key_id: str | None) -> Sequence[VerificationKey]:  # noqa: ARG002 - one key for all
        """That key."""
        return self._keys


class UserTokens:
    """Verifies user tokens. `async with UserTokens(settings.auth, metrics, health) as tokens:` (a JWKS is kept fresh inside)."""

    def __init__(self, settings: AuthSettings, metrics: Metrics, health: Health | None = None) -> None:
        """Read the key; KeySourceError where it is none. Nothing is fetched yet: with a JWKS `health` is not ready before there is a set."""
        jwks_metrics = JwksMetrics(metrics)
        self._settings = settings
        self._background = AsyncExitStack()
        self._jwks: Jwks | None = None
        self._keys: KeySource
        if settings.jwks_url is not None:
            self._keys = self._jwks = Jwks(settings.jwks_url, jwks_metrics, health)
        elif settings.public_key_file is not None:
            path = settings.public_key_file
            self._keys = FixedKey(public_key(path.read_bytes(), str(path)))
        elif settings.secret_file is not None:
            self._keys = FixedKey(secret_key(read_secret(settings.secret_file)))
        else:
            raise ValueError("AuthSettings without a key: they must come from settings.load")

    async def __aenter__(self) -> Self:
        """Make ready for the first token (some 60 ms), and begin to fetch a JWKS, where that is the source.

        Nobody waits for the fetch but the first token.
        """
        # Brings cryptography along. Beside the event loop, which else would stand still for the first token.
        await asyncio.to_thread(importlib.import_module, "jwt")
        if self._jwks is not None:
            await self._background.enter_async_context(self._jwks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop fetching."""
        await self._background.aclose()

    async def verify(self, token: str) -> Claims:
        """Who a token proves its bearer to be; AuthError (`unauthorized`, `token_expired`, `unavailable`) else.

        Waits only where a JWKS must be fetched for an unknown key id. `exp`, `nbf`, `iat` are checked where they are there;
        `iss` and `aud` must be as the settings say, and a token for an audience is refused where the settings name none.
        """
        import jwt  # noqa: PLC0415 - see __aenter__: wrong settings need not wait for it

        if len(token) > MAX_TOKEN_BYTES:
            raise AuthError("unauthorized", f"longer than {MAX_TOKEN_BYTES} bytes")
        if not token.isascii():
            raise AuthError("unauthorized", "not a JWT")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise AuthError("unauthorized", "not a JWT") from error
        known = await self._keys.keys(header.get("kid"))
        candidates = fitting(known, header.get("kid"), header.get("alg"))
        if not candidates:
            raise AuthError("unauthorized", "no key for its algorithm and key id")
        for candidate in candidates:
            try:
                payload = jwt.decode(
                    token,
                    candidate.key,
                    algorithms=list(candidate.algorithms),
                    audience=self._settings.audience,
                    issuer=self._settings.issuer,
                    leeway=self._settings.leeway_seconds,
                    options={"verify_sub": False, "verify_jti": False, "enforce_minimum_key_length": True},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError as error:
                raise AuthError("token_expired", "expired") from error
            except jwt.PyJWTError as error:
                raise AuthError("unauthorized", type(error).__name__) from error
            return self._claims(payload)
        raise AuthError("unauthorized", "signature does not verify")

    def _claims(self, payload: dict[str, Any]) -> Claims:
        claim = payload.get(self._settings.uid_claim)
        if not isinstance(claim, str) or not 0 < len(claim) <= MAX_CLAIM_LENGTH:
            raise AuthError("unauthorized", f"no text in the claim {self._settings.uid_claim}")
        if "exp" not in payload:
            return Claims(uid_from_claim(claim), None)
        return Claims(uid_from_claim(claim), float(min(int(payload["exp"]), LAST_SECOND)))


def bearer(header: str | None) -> str | None:
    """The token of an `Authorization` header (RFC 6750 §2.1); None where there is none or it is of another scheme."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
