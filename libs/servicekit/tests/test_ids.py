import hashlib
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.errors import IdError
from servicekit.ids import check_id, new_conversation_id, uid_from_claim, uuid7, valid_id


@pytest.mark.parametrize(
    "text", ["a", "0", "u-1", "a.b_c@d-e", "x" * 128, "85d2397c-1857-44ad-ac93-f6cbad26c0a4"]
)
def test_ids_that_are_valid(text):
    assert valid_id(text)
    assert check_id("uid", text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "-a",
        "_a",
        "@a",
        "a/b",
        "a b",
        "a\n",
        "a\x00",
        "auth0|5",
        "ä",
        "x" * 129,
        "a:b",
        "a%2fb",
        "{a}",
    ],
)
def test_ids_that_are_not(text):
    assert not valid_id(text)
    with pytest.raises(IdError, match="conversation_id is no valid id") as caught:
        check_id("conversation_id", text)
    assert caught.value.kind == "conversation_id"


@given(st.text())
def test_a_claim_always_becomes_a_valid_id(claim):
    assert valid_id(uid_from_claim(claim))


def test_a_claim_that_is_an_id_stays_and_others_are_hashed():
    assert uid_from_claim("alice@example.com") == "alice@example.com"
    mapped = "sha256-" + hashlib.sha256(b"auth0|5f7c").hexdigest()[:32]
    assert uid_from_claim("auth0|5f7c") == mapped


def test_nobody_can_choose_the_uid_that_another_claim_maps_to():
    taken = uid_from_claim("auth0|5f7c")
    assert uid_from_claim(taken) != taken


def test_conversation_ids_are_uuids_of_version_7_and_of_now():
    before = time.time_ns() // 1_000_000
    made = new_conversation_id()
    after = time.time_ns() // 1_000_000
    parsed = uuid.UUID(made)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before <= parsed.int >> 80 <= after
    assert valid_id(made)


def test_uuid7_example_of_the_rfc():
    # RFC 9562 appendix A.6: rand_a 0xCC3, rand_b 0b01, 0x8C4DC0C0C07398F
    randomness = bytes.fromhex("0cc3") + bytes.fromhex("18c4dc0c0c07398f")
    assert str(uuid7(0x017F22E279B0, randomness)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
