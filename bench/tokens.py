"""What it costs listen to verify a user's token: one for each handshake, and one for each that somebody made up.

The verification alone, with issuer, audience and expiry, as a handshake does it.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.figure import Figure
from bench.scale import Scale
from servicekit.auth import UserTokens
from servicekit.errors import AuthError
from servicekit.groups import AuthSettings
from servicekit.metrics import Metrics

PART = "tokens"
ROUNDS = 5
TOKENS = 500
SECRET = b"a secret that is long enough to sign with"
BASELINE = "HS256"


def measure(scale: Scale) -> Iterator[Figure]:  # noqa: ARG001 - a few seconds in any case
    """Microseconds of CPU a token, valid and with a wrong signature."""
    keys: dict[str, Any] = {
        BASELINE: SECRET,
        "RS256, 2048 bits": rsa.generate_private_key(65537, 2048),
        "RS256, 4096 bits": rsa.generate_private_key(65537, 4096),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    costs = asyncio.run(_rounds(keys))
    for (name, kind), ours in costs.items():
        yield Figure(
            part=PART,
            what=f"verifying {name}, {kind}",
            unit="us",
            ours=tuple(ours),
            baseline_name=f"{BASELINE}, valid",
            baseline=tuple(costs[BASELINE, "valid"]),
            better="less",
            notes=(f"{ROUNDS} rounds of {TOKENS} tokens each, CPU of the process",),
        )


async def _rounds(keys: dict[str, Any]) -> dict[tuple[str, str], list[float]]:
    costs: dict[tuple[str, str], list[float]] = {
        (name, kind): [] for name in keys for kind in ("valid", "wrong signature")
    }
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(ROUNDS):
            for name, key in keys.items():
                async with UserTokens(_settings(Path(directory), name, key), Metrics("bench", "0")) as tokens:
                    valid = _token(name, key)
                    head, _, signature = valid.rpartition(".")
                    wrong = f"{head}.{signature[:-8]}{'A' * 8}"
                    for kind, token in (("valid", valid), ("wrong signature", wrong)):
                        costs[name, kind].append(await _cost_us(tokens, token))
    return costs


def _settings(directory: Path, name: str, key: Any) -> AuthSettings:
    path = directory / name.replace(" ", "-")
    if isinstance(key, bytes):
        path.write_bytes(key)
        return AuthSettings(secret_file=path, issuer="https://issuer", audience="tapedeck")
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return AuthSettings(public_key_file=path, issuer="https://issuer", audience="tapedeck")


def _token(name: str, key: Any) -> str:
    now_s = int(time.time())
    claims = {"sub": "u", "iss": "https://issuer", "aud": "tapedeck", "iat": now_s, "exp": now_s + 3600}
    return jwt.encode(claims, key, name.partition(",")[0])


async def _cost_us(tokens: UserTokens, token: str) -> float:
    began_s = time.process_time()
    for _ in range(TOKENS):
        try:
            await tokens.verify(token)
        except AuthError:
            continue
    return (time.process_time() - began_s) / TOKENS * 1e6
