import copy
import pickle

import pytest

from servicekit.secret import Secret, shown_address


def test_it_is_there_for_whoever_asks_by_name_and_shown_nowhere():
    secret = Secret("k1:hush")
    assert secret.reveal() == "k1:hush"
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret])):
        assert "hush" not in shown
    for write in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="never written down"):
            write(secret)


def test_it_compares_like_its_text():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_text_that_has_no_bytes_is_none():
    with pytest.raises(ValueError, match="must be UTF-8"):
        Secret("\udc80")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://issuer.example/jwks", "https://issuer.example/jwks"),
        ("https://me:hush@issuer.example/jwks", "https://…@issuer.example/jwks"),
        ("https://issuer.example/jwks?key=hush&b#hush", "https://issuer.example/jwks?…"),
        ("https://issuer.example/jwks#hush", "https://issuer.example/jwks#…"),
        ("https://me:h/u?s#h@issuer.example", "https://…@issuer.example"),
        ("https://me:hush@hush@issuer.example", "https://…@issuer.example"),
        ("me:hush@issuer.example", "…@issuer.example"),
        ("https:/me:hush@issuer.example", "…@issuer.example"),
        ("", ""),
    ],
)
def test_what_is_shown_of_an_address(address, shown):
    assert shown_address(address) == shown
