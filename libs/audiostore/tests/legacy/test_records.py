"""The older sealed records, whole and broken."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostore.errors import LegacyFormatError
from audiostore.legacy.records import open_records, seal_records, told_bytes

UID = "user-1"
SECRET = "an older secret of thirty-two byt"


def opened(data: bytes, secret: str = SECRET, uid: str = UID) -> bytes:
    return open_records(data, secret, uid)


def test_records_are_joined(seal):
    data = seal(b"first ") + seal(b"", nonce=b"1" * 12) + seal(b"second", nonce=b"2" * 12)
    assert opened(data) == b"first second"
    assert told_bytes(data) == 12


def test_nothing_is_no_record():
    with pytest.raises(LegacyFormatError, match="sealed records: there is no record"):
        opened(b"")
    assert told_bytes(b"") == 0


# Two records of 38 bytes each: 4 of length, 12 of nonce, 6 of ciphertext, 16 of tag.
@pytest.mark.parametrize(
    ("kept", "said", "told"),
    [
        (1, "record 0 ends within its length: 1 of 4 bytes", 0),
        (3, "record 0 ends within its length: 3 of 4 bytes", 0),
        (4, "record 0 is cut short: 0 of 34 bytes", 0),
        (10, "record 0 is cut short: 6 of 34 bytes", 0),
        (16, "record 0 is cut short: 12 of 34 bytes", 0),
        (22, "record 0 is cut short: 18 of 34 bytes", 0),
        (37, "record 0 is cut short: 33 of 34 bytes", 5),
        (39, "record 1 ends within its length: 1 of 4 bytes", 6),
        (42, "record 1 is cut short: 0 of 34 bytes", 6),
        (75, "record 1 is cut short: 33 of 34 bytes", 11),
    ],
)
def test_cut_short_anywhere_is_refused(seal, kept, said, told):
    data = (seal(b"first ") + seal(b"second"))[:kept]
    with pytest.raises(LegacyFormatError) as caught:
        opened(data)
    assert str(caught.value) == f"sealed records: {said}"
    assert told_bytes(data) == told


def test_cut_between_two_records_cannot_be_noticed(seal):
    """The format has no end mark: a reader plays what is there."""
    assert opened(seal(b"first ")) == b"first "


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "record 0 says it has 0 bytes, less than nonce and tag"),
        (27, "record 0 says it has 27 bytes, less than nonce and tag"),
        (28, "record 0 does not authenticate"),
        (33, "record 0 does not authenticate"),
        (35, "record 0 is cut short: 34 of 35 bytes"),
        (0xFFFF_FFFF, "record 0 is cut short: 34 of 4294967295 bytes"),
    ],
)
def test_a_length_that_lies_is_refused(seal, length, said):
    data = struct.pack(">I", length) + seal(b"first ")[4:]
    with pytest.raises(LegacyFormatError, match=said):
        opened(data)
    assert told_bytes(data) <= len(data)


def test_every_changed_byte_is_noticed(seal):
    data = seal(b"first ") + seal(b"second")
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x01
        with pytest.raises(LegacyFormatError):
            opened(bytes(broken))


def test_bytes_behind_the_last_record_are_refused(seal):
    with pytest.raises(LegacyFormatError, match="record 1 says it has 0 bytes"):
        opened(seal(b"first ") + bytes(4))


@pytest.mark.parametrize("other", [{"secret": "another secret"}, {"uid": "user-2"}])
def test_another_secret_or_user_is_refused(seal, other):
    with pytest.raises(LegacyFormatError, match="record 0 does not authenticate") as caught:
        opened(seal(b"first ", **other))
    assert SECRET not in str(caught.value)
    with pytest.raises(LegacyFormatError, match="record 1 does not authenticate"):
        opened(seal(b"first ") + seal(b"second", **other))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_our_own_words(data):
    with pytest.raises(LegacyFormatError):
        opened(data)
    assert 0 <= told_bytes(data) <= len(data)


def test_what_is_sealed_anew_opens_and_never_looks_the_same():
    for size in (1, 65_536, 65_537, 200_001):
        plain = bytes(number % 251 for number in range(size))
        once, again = (seal_records(plain, SECRET, "user-1") for _ in range(2))
        assert once != again
        assert open_records(once, SECRET, "user-1") == open_records(again, SECRET, "user-1") == plain
        assert told_bytes(once) == size
    with pytest.raises(LegacyFormatError):
        open_records(once, SECRET, "user-2")
