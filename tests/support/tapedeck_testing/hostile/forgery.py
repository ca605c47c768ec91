"""Tokens that prove nothing: forged, spoilt, swollen. Made by hand, for no library would sign them.

Pure, but for keys made at random.
"""

import base64
import hashlib
import hmac
import json
import time
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

FAR: Final = 4_102_444_800
"""The year 2100."""


def b64(data: bytes) -> str:
    """As JWTs have it (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: object, payload: object, key: bytes | str) -> str:
    """A token with any header and payload, signed with HMAC-SHA256. Bytes stand for JSON as it is."""
    body = ".".join(
        b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, payload)
    )
    secret = key if isinstance(key, bytes) else key.encode()
    return f"{body}.{b64(hmac.digest(secret, body.encode(), hashlib.sha256))}"


def unsigned(algorithm: str, uid: str, signature: str = "") -> str:
    """A token that says how it is signed, and is not."""
    header, payload = {"alg": algorithm, "typ": "JWT"}, {"sub": uid, "exp": FAR}
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(payload).encode())}.{signature}"


class RsaKey:
    """A key pair of the attacker's, or of an issuer."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65_537, 2_048)

    @property
    def public_pem(self) -> bytes:
        """What everybody may have."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def jwk(self) -> dict[str, str]:
        """The public half as a JWK (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "n": b64(numbers.n.to_bytes(256, "big")),
            "e": b64(numbers.e.to_bytes(3, "big")),
            "alg": "RS256",
        }

    def token(self, uid: str, **header: Any) -> str:
        """A token signed with RS256."""
        top, payload = {"alg": "RS256", "typ": "JWT", **header}, {"sub": uid, "exp": int(time.time()) + 600}
        body = f"{b64(json.dumps(top).encode())}.{b64(json.dumps(payload).encode())}"
        return f"{body}.{b64(self._key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"
