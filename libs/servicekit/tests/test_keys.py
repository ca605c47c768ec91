import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from servicekit.errors import KeySourceError
from servicekit.keys import fitting, jwks_keys, public_key, secret_key


def jwks(*keys):
    return json.dumps({"keys": list(keys)}).encode()


def test_what_a_key_is_says_what_it_may_verify(rsa_key, ec_key, ed_key, pem):
    assert secret_key(b"s").algorithms == ("HS256",)
    assert "HS256" not in public_key(pem(rsa_key), "f").algorithms
    assert public_key(pem(rsa_key), "f").algorithms[:3] == ("RS256", "RS384", "RS512")
    assert public_key(pem(ec_key), "f").algorithms == ("ES256",)
    assert public_key(pem(ec.generate_private_key(ec.SECP384R1())), "f").algorithms == ("ES384",)
    assert public_key(pem(ed_key), "f").algorithms == ("EdDSA",)


def test_public_keys_that_are_refused(pem):
    with pytest.raises(KeySourceError, match="no PEM public key in a file"):
        public_key(b"nothing", "a file")
    with pytest.raises(KeySourceError, match="1024 bits"):
        public_key(pem(rsa.generate_private_key(65537, 1024)), "f")  # the refusal is what is tested
    for other in (ec.generate_private_key(ec.SECP256K1()), ed448.Ed448PrivateKey.generate()):
        with pytest.raises(KeySourceError, match="is none of RSA"):
            public_key(pem(other), "f")


def test_a_jwks(rsa_key, ec_key, ed_key, jwk):
    keys = jwks_keys(
        jwks(jwk(rsa_key, kid="a", alg="RS256", use="sig"), jwk(ec_key, kid="b"), jwk(ed_key)), "u"
    )
    assert [(key.key_id, key.algorithms) for key in keys] == [
        ("a", ("RS256",)),
        ("b", ("ES256",)),
        (None, ("EdDSA",)),
    ]


def test_keys_of_a_jwks_that_are_left_out(rsa_key, ec_key, jwk):
    keys = jwks_keys(
        jwks(
            {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "symmetric"},
            jwk(rsa_key, kid="for encryption", use="enc"),
            jwk(rsa_key, kid="only signs", key_ops=["sign"]),
            jwk(rsa_key, kid="none", alg="none"),
            jwk(rsa_key, kid="hmac", alg="HS256"),
            jwk(rsa_key, kid=5),
            jwk(rsa.generate_private_key(65537, 1024), kid="short"),
            {"kty": "RSA", "n": "!", "e": "AQAB"},
            {"kty": "RSA"},
            {"kty": "PQC", "kid": "new"},
            "no object",
            jwk(ec_key, kid="good"),
        ),
        "u",
    )
    assert [key.key_id for key in keys] == ["good"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[{"kty":"oct","k":"c2Vj"}]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_documents_that_are_no_jwks(document):
    with pytest.raises(KeySourceError, match="https://issuer"):
        jwks_keys(document, "https://issuer")


def test_a_jwks_with_too_many_keys(ec_key, jwk):
    with pytest.raises(KeySourceError, match="at most 64"):
        jwks_keys(jwks(*[jwk(ec_key)] * 65), "u")


def test_which_keys_fit_a_token(rsa_key, ec_key, jwk):
    keys = jwks_keys(jwks(jwk(rsa_key, kid="a"), jwk(ec_key, kid="b"), jwk(ec_key)), "u")
    assert [key.key_id for key in fitting(keys, "b", "ES256")] == ["b", None]
    assert [key.key_id for key in fitting(keys, "a", "RS256")] == ["a"]
    assert [key.key_id for key in fitting(keys, None, "ES256")] == ["b", None]
    for algorithm in ("none", "HS256", None, [], {}):
        assert fitting(keys, None, algorithm) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
JWK = st.fixed_dictionaries(
    {"kty": st.sampled_from(["RSA", "EC", "OKP", "oct"])},
    optional={
        "crv": st.sampled_from(["P-256", "P-521", "Ed25519", "Ed448", "X25519", "secp256k1"]) | JSON,
        **{
            name: JSON | st.from_regex(r"[A-Za-z0-9_-]{0,90}", fullmatch=True)
            for name in ("n", "e", "x", "y")
        },
        **dict.fromkeys(("kid", "alg", "use", "key_ops", "d"), JSON),
    },
)


@hypothesis_settings(deadline=None)
@given(entries=st.lists(JWK | JSON, max_size=4))
def test_whatever_an_issuer_answers_only_a_key_source_error_comes_out(entries):
    # Anything else would end the task that keeps the keys fresh.
    try:
        assert jwks_keys(jwks(*entries), "u")
    except KeySourceError as error:
        assert "u" in str(error)
