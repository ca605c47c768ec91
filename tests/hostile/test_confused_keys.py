"""A server that knows an issuer's public key: whoever signs with HMAC and that key is nobody."""

import pytest
import pytest_asyncio

from tapedeck_testing.hostile.attacks.tokens import bears
from tapedeck_testing.hostile.forgery import FAR, RsaKey, signed, unsigned
from tapedeck_testing.hostile.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def confused(tmp_path_factory, issuer):
    folder = tmp_path_factory.mktemp("confused")
    key = folder / "issuer.pem"
    key.write_bytes(issuer.public_pem)
    environ = {
        "TAPEDECK_JWT_SECRET_FILE": "",
        "TAPEDECK_JWT_PUBLIC_KEY_FILE": str(key),
        "TAPEDECK_AUTH": "jwt",
    }
    async with Server("listen", folder, environ) as server:
        yield server
