"""The sealed file: against a second implementation straight from the page, golden files, and everything an attacker may do to one."""

import hashlib
import hmac
import json
import struct
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from hypothesis import given, settings
from hypothesis import strategies as st

from audiostore.errors import KeyRingError, SealError, TamperedError, UnknownKeyError
from audiostore.key_ring import KeyRing
from audiostore.sealing import (
    HEAD_BYTES,
    HEADER_BYTES,
    RECORD_BYTES,
    Opener,
    Sealer,
    open_head,
    open_sealed,
    seal,
    sealed_key_id,
)

GOLDEN = Path(__file__).parent / "sealed"
UID = "device-owner@example.org"
RING = KeyRing({"k2": bytes(range(32)), "k1": bytes(range(100, 132))})
FILE_ID = bytes(range(16))
RECORD = RECORD_BYTES + 32  # with length, nonce and tag
PIECES = st.lists(st.integers(0, 90_000), max_size=6)


def sound(size):
    """Bytes that repeat nowhere."""
    return hashlib.shake_256(b"sound").digest(size)


# The page, once more: HKDF by hand (RFC 5869), AES-GCM through the library's other door.


def page_keys(key, uid, file_id):
    prk = hmac.digest(uid.encode(), key, "sha256")
    out, block = b"", b""
    for number in (1, 2):
        block = hmac.digest(prk, block + b"tapedeck-seal-v1" + file_id + bytes([number]), "sha256")
        out += block
    return out[:32], out[32:39]


def page_record(key, prefix, uid, number, last, plain):
    nonce = prefix + struct.pack(">IB", number, last)
    cipher = Cipher(AES(key), GCM(nonce)).encryptor()
    cipher.authenticate_additional_data(uid.encode())
    body = nonce + cipher.update(plain) + cipher.finalize() + cipher.tag
    return struct.pack(">I", len(body)) + body


def page_seal(plain, key_id, master, uid, file_id):
    key, prefix = page_keys(master, uid, file_id)
    cuts = [*range(0, max(len(plain), 1), 65_536)]
    records = [
        page_record(key, prefix, uid, number, at == cuts[-1], plain[at : at + 65_536])
        for number, at in enumerate(cuts)
    ]
    return b"TDSEAL01" + bytes([len(key_id)]) + key_id.encode() + file_id + b"".join(records)


def page_open(data, master, uid):
    assert data[:8] == b"TDSEAL01"
    at = 9 + data[8]
    key, prefix = page_keys(master, uid, data[at : at + 16])
    at += 16
    plain, number, last = b"", 0, 0
    while not last:
        (length,) = struct.unpack_from(">I", data, at)
        record = data[at + 4 : at + 4 + length]
        last = record[11]
        assert record[:12] == prefix + struct.pack(">IB", number, last)
        cipher = Cipher(AES(key), GCM(record[:12], record[-16:])).decryptor()
        cipher.authenticate_additional_data(uid.encode())
        plain += cipher.update(record[12:-16]) + cipher.finalize()
        number, at = number + 1, at + 4 + length
    assert at == len(data)
    return plain


def records_of(data):
    """Where each record begins, and the end of the file."""
    at = 9 + data[8] + 16
    bounds = [at]
    while at < len(data):
        at += 4 + int.from_bytes(data[at : at + 4], "big")
        bounds.append(at)
    return bounds


def refused(data, ring=RING, uid=UID):
    """The file is refused in one go, as a stream, and by pieces; the error of the first."""
    with pytest.raises(SealError) as whole:
        open_sealed(bytes(data), ring, uid)
    streaming = Opener(ring, uid)
    with pytest.raises(type(whole.value)) as streamed:  # noqa: PT012 - either call may be the one
        for at in range(0, len(data), 1000):
            streaming.update(bytes(data[at : at + 1000]))
        streaming.finish()
    assert str(streamed.value).startswith("sealed file: ")
    return str(whole.value)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000])
def test_the_page_opens_what_is_sealed_and_the_other_way_round(size):
    plain = sound(size)
    sealed = seal(plain, RING, UID)
    assert page_open(sealed, RING.key("k2"), UID) == plain
    from_page = page_seal(plain, "k1", RING.key("k1"), UID, FILE_ID)
    assert open_sealed(from_page, RING, UID) == plain
    assert open_head(from_page[:HEAD_BYTES], RING, UID) == plain[:RECORD_BYTES]


@pytest.mark.parametrize(
    "case", json.loads((GOLDEN / "manifest.json").read_text()), ids=lambda case: case["file"]
)
def test_golden_files(case):
    data = (GOLDEN / case["file"]).read_bytes()
    ring = KeyRing({case["key_id"]: bytes.fromhex(case["key"])})
    plain = open_sealed(data, ring, case["uid"])
    assert (len(plain), hashlib.sha256(plain).hexdigest()) == (case["plain_bytes"], case["plain_sha256"])
    sealer = Sealer(ring, case["uid"], file_id=bytes.fromhex(case["file_id"]))
    assert sealer.update(plain) + sealer.finish() == data
    assert sealed_key_id(data[:HEADER_BYTES]) == case["key_id"]
    assert page_open(data, ring.key(case["key_id"]), case["uid"]) == plain


@settings(max_examples=40, deadline=None)
@given(given=PIECES, taken=st.integers(1, 100_000))
def test_any_pieces_make_the_same_file_and_the_same_sound(given, taken):
    plain = sound(sum(given))
    sealer = Sealer(RING, UID, file_id=FILE_ID)
    parts, at = [], 0
    for size in given:
        parts.append(sealer.update(plain[at : at + size]))
        at += size
        assert len(sealer._held) <= RECORD_BYTES
    data = b"".join([*parts, sealer.finish()])
    assert data == page_seal(plain, "k2", RING.key("k2"), UID, FILE_ID)
    opener = Opener(RING, UID)
    opened = b""
    for start in range(0, len(data), taken):
        opened += opener.update(data[start : start + taken])
        assert len(opener._held) < HEAD_BYTES
    opener.finish()
    assert opened == plain


def test_byte_by_byte():
    data = seal(b"abc", RING, UID)
    opener = Opener(RING, UID)
    assert b"".join(opener.update(data[at : at + 1]) for at in range(len(data))) == b"abc"
    opener.finish()


def test_each_file_is_another_one():
    one, other = seal(b"same", RING, UID), seal(b"same", RING, UID)
    assert one != other
    assert one[11:27] != other[11:27]


def test_an_empty_file_has_one_record_that_is_authenticated():
    data = seal(b"", RING, UID)
    assert len(records_of(data)) == 2
    assert open_sealed(data, RING, UID) == open_head(data, RING, UID) == b""
    assert "authenticate" in refused(data[:-1] + bytes([data[-1] ^ 1]))
    assert "without a last record" in refused(data[: records_of(data)[0]])


def test_an_empty_last_record_after_full_ones_opens():
    # We never write one; a writer that does not know the end may.
    key, prefix = page_keys(RING.key("k2"), UID, FILE_ID)
    head = b"TDSEAL01\x02k2" + FILE_ID
    full = page_record(key, prefix, UID, 0, 0, sound(65_536))
    assert open_sealed(head + full + page_record(key, prefix, UID, 1, 1, b""), RING, UID) == sound(65_536)


@pytest.mark.parametrize("bit", [1, 16, 128])
def test_any_changed_byte_of_a_small_file_is_detected(bit):
    data = seal(sound(70), RING, UID)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= bit
        refused(changed)
        with pytest.raises(SealError):
            open_head(bytes(changed), RING, UID)


BIG = seal(sound(200_000), RING, UID)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(BIG) - 1), change=st.integers(1, 255))
def test_any_changed_byte_of_a_big_file_is_detected(at, change):
    changed = bytearray(BIG)
    changed[at] ^= change
    refused(changed)


@settings(max_examples=60, deadline=None)
@given(end=st.integers(0, len(BIG) - 1))
def test_any_truncation_is_detected(end):
    refused(BIG[:end])


def test_truncation_at_every_boundary_and_beside_it():
    bounds = records_of(BIG)
    for at in bounds[:-1]:
        assert "it ends without a last record" in refused(BIG[:at])
        assert "it ends within" in refused(BIG[: at + 1])
        assert "it ends within" in refused(BIG[: at - 1])
    assert "it ends within record 3" in refused(BIG[:-1])
    assert "it ends within its header" in refused(b"")
    assert "it ends within its header" in refused(BIG[: bounds[0] - 1])


def test_reordered_dropped_and_repeated_records():
    bounds = records_of(BIG)
    head = BIG[: bounds[0]]
    parts = [BIG[start:end] for start, end in pairwise(bounds)]
    assert len(parts) == 4
    assert "record 0 has a nonce that is not its own" in refused(
        head + b"".join([parts[1], parts[0], *parts[2:]])
    )
    assert "record 1 has a nonce" in refused(head + b"".join([parts[0], *parts[2:]]))
    assert "record 0 has a nonce" in refused(head + b"".join(parts[1:]))
    assert "record 1 has a nonce" in refused(head + b"".join([parts[0], *parts]))
    assert "record 1 has a nonce" in refused(head + parts[0] + parts[3])
    assert "bytes follow the last record" in refused(BIG + parts[3])
    assert "bytes follow the last record" in refused(BIG + b"\0")
    assert "bytes follow the last record" in refused(BIG + BIG)


def test_records_of_two_files():
    other = seal(sound(200_000), RING, UID)
    bounds = records_of(BIG)
    assert "record 1 has a nonce" in refused(BIG[: bounds[1]] + other[bounds[1] :])
    assert "record 0 has a nonce" in refused(BIG[: bounds[0]] + other[bounds[0] :])


def test_a_last_flag_that_was_set_by_hand():
    bounds = records_of(BIG)
    cut = bytearray(BIG[: bounds[1]])
    cut[bounds[0] + 4 + 11] = 1
    assert "record 0 does not authenticate" in refused(cut)


def test_short_records_that_are_not_the_last():
    key, prefix = page_keys(RING.key("k2"), UID, FILE_ID)
    head = b"TDSEAL01\x02k2" + FILE_ID
    for size in (0, 5, 65_535):
        short = page_record(key, prefix, UID, 0, 0, sound(size))
        assert "record 0 is short and not the last" in refused(
            head + short + page_record(key, prefix, UID, 1, 1, b"x")
        )
        with pytest.raises(TamperedError, match="short and not the last"):
            open_head(head + short, RING, UID)
    long = page_record(key, prefix, UID, 0, 1, sound(65_537))
    assert "record 0 says it has 65565 bytes" in refused(head + long)


@pytest.mark.parametrize("length", [0, 1, 27, 65_565, 2**31, 2**32 - 1])
def test_lengths_that_lie_are_refused_before_anything_is_read_for_them(length):
    at = records_of(BIG)[0]
    lie = BIG[:at] + struct.pack(">I", length)
    opener = Opener(RING, UID)
    with pytest.raises(TamperedError, match=f"record 0 says it has {length} bytes, where 28 to 65564 can be"):
        opener.update(lie)
    with pytest.raises(TamperedError, match="record 0 says"):
        open_head(lie, RING, UID)


@pytest.mark.parametrize("length", [28, 29, 65_563, 65_564])
def test_lengths_that_could_be_true_but_are_not(length):
    at = records_of(BIG)[-2]
    refused(BIG[:at] + struct.pack(">I", length) + BIG[at + 4 :])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"OggS" + bytes(100), "does not begin with TDSEAL01"),
        (b"TDSEAL02\x02k2" + bytes(100), "does not begin with TDSEAL01"),
        (b"TDSEAL01\x00" + bytes(100), "a key id of 0 bytes"),
        (b"TDSEAL01\x41" + b"k" * 100, "a key id of 65 bytes"),
        (b"TDSEAL01\xff" + b"k" * 10, "a key id of 255 bytes"),
        (b"TDSEAL01\x02k:" + bytes(100), "no printable ASCII"),
        (b"TDSEAL01\x02k " + bytes(100), "no printable ASCII"),
        (b"TDSEAL01\x02k\xe9" + bytes(100), "no printable ASCII"),
        (b"TDSEAL01\x02k\n" + bytes(100), "no printable ASCII"),
        (b"TDSEAL01\x02k2" + bytes(15), "ends within its header"),
        (b"TDSEAL01", "ends within its header"),
        (b"TDS", "ends within its header"),
    ],
)
def test_headers_that_are_none(data, text):
    assert text in refused(data)
    for look in (lambda: sealed_key_id(data[:HEADER_BYTES]), lambda: open_head(data[:HEAD_BYTES], RING, UID)):
        with pytest.raises(TamperedError, match=text):
            look()


def test_another_user_another_key_an_unknown_key():
    assert "record 0 has a nonce that is not its own" in refused(BIG, uid="somebody-else")
    assert "record 0 has a nonce" in refused(BIG, ring=KeyRing({"k2": bytes(32)}))
    with pytest.raises(UnknownKeyError, match="'k2', which is not in the key ring") as caught:
        open_sealed(BIG, KeyRing({"k3": bytes(32)}), UID)
    assert caught.value.key_id == "k2"
    for look in (open_head, open_sealed):
        with pytest.raises(UnknownKeyError):
            look(BIG, KeyRing.empty, UID)


def test_after_a_rotation_the_new_key_seals_and_the_old_one_opens():
    before = KeyRing({"k1": bytes(range(100, 132))})
    old = seal(b"old", before, UID)
    assert open_sealed(old, RING, UID) == b"old"
    new = seal(b"new", RING, UID)
    assert (sealed_key_id(old), sealed_key_id(new)) == ("k1", "k2")
    with pytest.raises(UnknownKeyError):
        open_sealed(new, before, UID)


def test_the_head_of_a_longer_file():
    assert open_head(BIG[:HEAD_BYTES], RING, UID) == sound(200_000)[:RECORD_BYTES]
    with pytest.raises(TamperedError, match="ends within record 0"):
        open_head(BIG[: records_of(BIG)[1] - 1], RING, UID)
    small = seal(b"small", RING, UID)
    with pytest.raises(TamperedError, match="bytes follow the last record"):
        open_head(small + b"x", RING, UID)
    longest = KeyRing({"k" * 64: bytes(32)})
    data = seal(sound(65_537), longest, UID)
    assert open_head(data[:HEAD_BYTES], longest, UID) == sound(65_536)
    assert records_of(data)[1] == HEAD_BYTES


def test_nothing_goes_on_after_an_error_or_the_end():
    opener = Opener(RING, UID)
    broken = bytearray(BIG)
    broken[-1] ^= 1
    with pytest.raises(TamperedError):
        opener.update(bytes(broken))
    for call in (lambda: opener.update(b""), opener.finish):
        with pytest.raises(SealError, match="refused already"):
            call()
    cut = Opener(RING, UID)
    cut.update(BIG[:100])
    with pytest.raises(TamperedError, match="ends within record 0"):
        cut.finish()
    with pytest.raises(SealError, match="refused already"):
        cut.update(BIG[100:])
    ended = Opener(RING, UID)
    ended.update(BIG)
    ended.finish()
    with pytest.raises(TamperedError, match="bytes follow"):
        ended.update(b"x")
    sealer = Sealer(RING, UID)
    sealer.finish()
    for call in (lambda: sealer.update(b"x"), sealer.finish):
        with pytest.raises(SealError, match="finished already"):
            call()


def test_what_nobody_can_seal_with():
    with pytest.raises(KeyRingError, match="no key to seal with"):
        seal(b"", KeyRing.empty, UID)
    for uid in ("", "x" * 1025):
        with pytest.raises(SealError, match="uid of"):
            seal(b"", RING, uid)
    with pytest.raises(SealError, match="no UTF-8"):
        seal(b"", RING, "\ud800")
    with pytest.raises(SealError, match="file id of 15 bytes"):
        Sealer(RING, UID, file_id=bytes(15))


def test_no_error_shows_key_or_sound():
    secret = b"very secret sound"
    data = bytearray(seal(secret * 10, RING, UID))
    data[-1] ^= 1
    with pytest.raises(TamperedError) as caught:
        open_sealed(bytes(data), RING, UID)
    shown = repr(caught.value) + repr(RING) + str(caught.value.__cause__)
    assert "secret" not in shown
    assert RING.key("k2").hex() not in shown
