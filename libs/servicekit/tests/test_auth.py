import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time

import jwt
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from servicekit.auth import Claims, UserTokens, bearer
from servicekit.errors import AuthError, KeySourceError
from servicekit.groups import AuthSettings
from servicekit.metrics import Metrics

HOUR = 3600


def part(value):
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(
        b"="
    )


def hmac_token(header, payload, key):
    """A token signed by hand: the library refuses to make what attackers make."""
    signed = part(header) + b"." + part(payload)
    return (signed + b"." + part(hmac.digest(key, signed, hashlib.sha256))).decode()


@pytest.fixture
def tokens(secret_settings):
    return UserTokens(secret_settings(), Metrics("test", "0"))


async def refusal(tokens, token):
    with pytest.raises(AuthError) as caught:
        await tokens.verify(token)
    assert token not in str(caught.value) or not token
    return caught.value.code


async def test_who_a_token_proves_its_bearer_to_be(tokens, secret):
    expires_at = int(time.time()) + HOUR
    async with tokens:
        assert await tokens.verify(jwt.encode({"sub": "alice"}, secret)) == Claims("alice", None)
        claims = await tokens.verify(jwt.encode({"sub": "auth0|5f7c", "exp": expires_at}, secret))
    assert claims == Claims("sha256-" + hashlib.sha256(b"auth0|5f7c").hexdigest()[:32], expires_at)


def test_the_first_token_imports_nothing(tmp_path, secret):
    # In a process of its own: here everything is imported already.
    (tmp_path / "secret").write_bytes(secret)
    script = f"""
import asyncio, sys
from pathlib import Path
from servicekit.auth import UserTokens
from servicekit.groups import AuthSettings
from servicekit.metrics import Metrics

async def main():
    tokens = UserTokens(AuthSettings(secret_file=Path({str(tmp_path / "secret")!r})), Metrics("test", "0"))
    assert "jwt" not in sys.modules
    async with tokens:
        before = set(sys.modules)
        await tokens.verify({jwt.encode({"sub": "alice"}, secret)!r})
        assert set(sys.modules) == before, set(sys.modules) - before

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def test_another_claim_may_name_the_user(secret_settings, secret):
    tokens = UserTokens(secret_settings(uid_claim="https://example.com/uid"), Metrics("test", "0"))
    token = jwt.encode({"sub": "no", "https://example.com/uid": "yes"}, secret)
    assert (await tokens.verify(token)).uid == "yes"
    assert await refusal(tokens, jwt.encode({"sub": "no"}, secret)) == "unauthorized"


@pytest.mark.parametrize("claim", [None, "", 5, ["a"], {"a": 1}, True, "x" * 1025])
async def test_claims_that_name_nobody(tokens, secret, claim):
    token = hmac_token({"alg": "HS256"}, {"sub": claim}, secret)
    assert await refusal(tokens, token) == "unauthorized"


async def test_times(tokens, secret):
    now = int(time.time())
    assert await tokens.verify(jwt.encode({"sub": "a", "exp": now - 1}, secret))  # within the leeway
    assert await refusal(tokens, jwt.encode({"sub": "a", "exp": now - 3}, secret)) == "token_expired"
    assert await refusal(tokens, jwt.encode({"sub": "a", "nbf": now + HOUR}, secret)) == "unauthorized"
    far = await tokens.verify(hmac_token({"alg": "HS256"}, {"sub": "a", "exp": 10**400}, secret))
    assert far.expires_at == 253402300799


async def test_the_leeway_is_for_verifying_and_does_not_make_a_token_last_longer(secret_settings, secret):
    tokens = UserTokens(secret_settings(leeway_seconds=60), Metrics("test", "0"))
    expired_at = int(time.time()) - 50
    claims = await tokens.verify(jwt.encode({"sub": "a", "exp": expired_at}, secret))
    assert claims.expires_at == expired_at


@pytest.mark.parametrize("exp", ["soon", [], float("inf"), float("nan")])
async def test_times_that_are_none(tokens, secret, exp):
    assert (
        await refusal(tokens, hmac_token({"alg": "HS256"}, {"sub": "a", "exp": exp}, secret))
        == "unauthorized"
    )


async def test_an_expired_token_of_somebody_else_is_not_called_expired(tokens):
    token = jwt.encode({"sub": "a", "exp": 5}, b"another secret of 32 bytes or so")
    assert await refusal(tokens, token) == "unauthorized"


async def test_issuer_and_audience(secret_settings, secret):
    tokens = UserTokens(secret_settings(issuer="https://issuer", audience="tapedeck"), Metrics("test", "0"))
    good = {"sub": "a", "iss": "https://issuer", "aud": ["other", "tapedeck"]}
    assert await tokens.verify(jwt.encode(good, secret))
    for wrong in (
        {"iss": "https://evil"},
        {"aud": "other"},
        {"iss": None},
        {"aud": None},
        {"iss": ["https://issuer"]},
    ):
        payload = {name: value for name, value in {**good, **wrong}.items() if value is not None}
        assert await refusal(tokens, hmac_token({"alg": "HS256"}, payload, secret)) == "unauthorized"


async def test_a_token_for_an_audience_is_not_for_us_where_we_have_none(tokens, secret):
    assert await refusal(tokens, jwt.encode({"sub": "a", "aud": "billing"}, secret)) == "unauthorized"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": ""},
        {},
        {"alg": None},
        {"alg": ["HS256"]},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": "HS256", "crit": ["exp"]},
        {"alg": "HS256", "kid": 5},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
    ],
)
async def test_headers_that_are_refused(tokens, secret, header):
    assert await refusal(tokens, hmac_token(header, {"sub": "a"}, secret)) == "unauthorized"


async def test_no_signature(tokens):
    for header in ({"alg": "none"}, {"alg": "HS256"}):
        token = (part(header) + b"." + part({"sub": "a"}) + b".").decode()
        assert await refusal(tokens, token) == "unauthorized"


async def test_a_public_key_is_no_secret(tmp_path, rsa_key, pem):
    path = tmp_path / "key.pem"
    path.write_bytes(pem(rsa_key))
    tokens = UserTokens(AuthSettings(public_key_file=path), Metrics("test", "0"))
    assert (await tokens.verify(jwt.encode({"sub": "a"}, rsa_key, "RS256"))).uid == "a"
    assert (await tokens.verify(jwt.encode({"sub": "a"}, rsa_key, "PS384"))).uid == "a"
    assert (
        await refusal(tokens, hmac_token({"alg": "HS256"}, {"sub": "a"}, path.read_bytes())) == "unauthorized"
    )


@pytest.mark.parametrize(("kind", "algorithm"), [("ec_key", "ES256"), ("ed_key", "EdDSA")])
async def test_other_public_keys(tmp_path, request, pem, kind, algorithm):
    key = request.getfixturevalue(kind)
    path = tmp_path / "key.pem"
    path.write_bytes(pem(key))
    tokens = UserTokens(AuthSettings(public_key_file=path), Metrics("test", "0"))
    assert (await tokens.verify(jwt.encode({"sub": "a"}, key, algorithm))).uid == "a"


async def test_keys_in_the_header_are_ignored(tmp_path, rsa_key, ec_key, jwk, pem):
    path = tmp_path / "key.pem"
    path.write_bytes(pem(rsa_key))
    tokens = UserTokens(AuthSettings(public_key_file=path), Metrics("test", "0"))
    for header in (
        {"jwk": jwk(ec_key)},
        {"jku": "http://127.0.0.1:1/"},
        {"x5u": "http://127.0.0.1:1/"},
        {"x5c": ["AA=="]},
    ):
        assert (
            await refusal(tokens, jwt.encode({"sub": "a"}, ec_key, "ES256", headers=header)) == "unauthorized"
        )
        assert await tokens.verify(jwt.encode({"sub": "a"}, rsa_key, "RS256", headers=header))


async def test_a_token_over_8_kib_is_refused_before_it_is_parsed(tokens, secret):
    token = jwt.encode({"sub": "a", "pad": "x" * 8000}, secret)
    assert len(token) > 8192
    with pytest.raises(AuthError, match="longer than 8192 bytes"):
        await tokens.verify(token)
    assert await tokens.verify(jwt.encode({"sub": "a", "pad": "x" * 5900}, secret))


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "\ud800.x.y", "ä.b.c", "[" * 8000, "e30.e30.", "bnVsbA.e30.AA"]
)
async def test_what_is_no_token(tokens, token):
    assert await refusal(tokens, token) == "unauthorized"


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"HS256","x":' + "[" * 2_000 + "]" * 2_000 + "}",
        '{"alg":"HS256","x":' + '{"a":' * 900,
        "[" * 5_900,
    ],
)
async def test_a_header_that_is_nested_without_end(tokens, header):
    assert await refusal(tokens, (part(header.encode()) + b".e30.AA").decode()) == "unauthorized"


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(header=st.binary(max_size=40), payload=st.binary(max_size=40), signature=st.binary(max_size=40))
async def test_nothing_but_auth_errors_comes_out(tokens, header, payload, signature):
    token = b".".join(part(value) for value in (header, payload, signature)).decode()
    assert await refusal(tokens, token) == "unauthorized"


def test_a_key_file_that_holds_none(tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n")
    with pytest.raises(KeySourceError, match=r"key\.pem"):
        UserTokens(AuthSettings(public_key_file=path), Metrics("test", "0"))


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("abc", None),
    ],
)
def test_bearer(header, token):
    assert bearer(header) == token
