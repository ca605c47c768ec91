"""A server that knows an issuer's public key: whoever signs with HMAC and that key is nobody."""

import pytest

from tapedeck_testing.hostile.attacks.tokens import bears
from tapedeck_testing.hostile.forgery import FAR, RsaKey, signed, unsigned
from tapedeck_testing.hostile.server import Server


@pytest.mark.parametrize("name", ["HS256", "HS512", "kid", "none", "another key", "good"])
async def test_only_the_issuers_own_signature_counts(confused, issuer, name):
    claims, pem = {"sub": "mallory", "exp": FAR}, issuer.public_pem
    token = {
        "HS256": signed({"alg": "HS256"}, claims, pem),
        "HS512": signed({"alg": "HS512"}, claims, pem),
        "kid": signed({"alg": "HS256", "kid": "key"}, claims, pem.strip()),
        "none": unsigned("none", "mallory"),
        "another key": RsaKey().token("mallory"),
        "good": issuer.token("alice"),
    }[name]
    answer = await bears(name, token).run(confused)
    assert answer == ("accepted" if name == "good" else "HTTP 401")


@pytest.fixture(scope="module")
def issuer():
    return RsaKey()


@pytest.fixture
async def confused(tmp_path, issuer):
    key = tmp_path / "issuer.pem"
    key.write_bytes(issuer.public_pem)
    environ = {
        "TAPEDECK_JWT_SECRET_FILE": "",
        "TAPEDECK_JWT_PUBLIC_KEY_FILE": str(key),
        "TAPEDECK_AUTH": "jwt",
    }
    async with Server("listen", tmp_path, environ) as server:
        yield server
