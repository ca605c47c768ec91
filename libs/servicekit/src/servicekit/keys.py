"""Keys that verify tokens, and which algorithms each may be used with.

Pure: bytes in, keys out. A key's algorithms follow from what the key *is*, never from what a token says: so no public key is
ever taken for an HMAC secret, and `none` belongs to no key (RFC 8725 §3.1, §3.2).
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from servicekit.errors import KeySourceError

log = logging.getLogger(__name__)

MAX_KEYS: Final = 64  # of a JWKS: each may have to be tried for a token without a key id
MIN_RSA_BITS: Final = 2048  # RFC 7518 §3.3

RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EC_ALGORITHMS: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class VerificationKey(msgspec.Struct, frozen=True):
    """A key, with the algorithms it may verify."""

    key: Any
    """Bytes of a secret, or a public key object of `cryptography`."""
    algorithms: tuple[str, ...]
    """JWA names (RFC 7518 §3.1)."""
    key_id: str | None = None
    """`kid` in a JWKS; None fits every token."""


def secret_key(secret: bytes) -> VerificationKey:
    """A shared secret: HS256 and nothing else."""
    return VerificationKey(secret, ("HS256",))


def public_key(pem: bytes, source: str) -> VerificationKey:
    """The public key in a PEM file (SubjectPublicKeyInfo); KeySourceError, naming `source`, where it is none that we take."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - only who has such a key pays for the import
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - as above

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeySourceError(f"no PEM public key in {source}: {error}") from error
    return VerificationKey(key, _algorithms(key, source))


def jwks_keys(document: bytes, source: str) -> tuple[VerificationKey, ...]:
    """The signature keys of a JWKS (RFC 7517 §5) that we take; others are left out (§5: unknown kinds are to be ignored).

    KeySourceError, naming `source`, where it is no JWKS or has not one usable key. Symmetric keys (`oct`) are never taken:
    what lies at a public address is no secret.
    """
    try:
        entries = json.loads(document)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KeySourceError(f"no JWKS at {source}: it is not JSON with a list of keys") from error
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise KeySourceError(f"no JWKS at {source}: keys must be a list of at most {MAX_KEYS}")
    keys = tuple(key for entry in entries for key in _jwk(entry, source))
    if not keys:
        raise KeySourceError(f"no usable key in the JWKS at {source}")
    return keys


def fitting(keys: Sequence[VerificationKey], key_id: str | None, algorithm: object) -> list[VerificationKey]:
    """The keys that may have signed a token with this `kid` and `alg`; without a `kid` all of that algorithm."""
    return [
        key
        for key in keys
        if algorithm in key.algorithms and (key_id is None or key.key_id is None or key.key_id == key_id)
    ]


def _jwk(entry: object, source: str) -> list[VerificationKey]:
    """The key of one JWK, or nothing."""
    import jwt  # noqa: PLC0415 - brings cryptography along

    if not isinstance(entry, dict) or entry.get("kty") not in {"RSA", "EC", "OKP"}:
        return []
    key_id = entry.get("kid")
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return []
    try:
        # Only the public members: a JWKS that carries a private key by mistake is still only read as a public one.
        public = {name: entry[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in entry}
        key = jwt.PyJWK(public).key
        algorithms = _algorithms(key, source)
    except (jwt.PyJWTError, KeySourceError, ValueError, TypeError) as error:
        log.info("left a key of the JWKS out", extra={"source": source, "reason": type(error).__name__})
        return []
    if "alg" in entry:
        algorithms = tuple(name for name in algorithms if name == entry["alg"])
    if not algorithms or not isinstance(key_id, str | None):
        return []
    return [VerificationKey(key, algorithms, key_id)]


def _algorithms(key: object, source: str) -> tuple[str, ...]:
    """The algorithms of a public key; KeySourceError for one that is too short or of a kind that we do not take."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415 - only who has such a key pays

    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise KeySourceError(
                f"the RSA key in {source} has {key.key_size} bits, fewer than {MIN_RSA_BITS}"
            )
        return RSA_ALGORITHMS
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in EC_ALGORITHMS:
        return (EC_ALGORITHMS[key.curve.name],)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ("EdDSA",)
    raise KeySourceError(f"the key in {source} is none of RSA, EC P-256, P-384, P-521, Ed25519")
