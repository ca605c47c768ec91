"""The older sealed records: AES-256-GCM, one key a user, no AAD.

    record: u32 be length of what follows | 12-byte nonce | ciphertext and 16-byte tag
    key: HKDF-SHA256 (RFC 5869) of the secret in UTF-8, salt = uid, info = "user-data-encryption", 32 bytes

Owns this format. It seals only what was sealed so before and had something cut out of it: all else is sealed by `audiostore.sealing`. The format
has no end mark and no numbers, so records that are missing at the end, or stand in another order, cannot be noticed; a record that is cut short or changed is. Errors
never hold key material or plaintext.
"""

from __future__ import annotations

import secrets
import struct
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audiostore.errors import LegacyFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH_BYTES, _NONCE_BYTES, _TAG_BYTES = 4, 12, 16
_SEALED_BYTES = _NONCE_BYTES + _TAG_BYTES
RECORD_OVERHEAD_BYTES = _LENGTH_BYTES + _SEALED_BYTES
"""By so much a record is longer than its plaintext."""

_PLAIN_BYTES = 65_536
"""What a record that is written here holds at the most: any length can be read."""


def seal_records(plain: bytes, secret: str, uid: str) -> bytes:
    """The sealed records of `plain`, others each time: every nonce is new."""
    cipher = _cipher(secret, uid)
    parts = []
    for at in range(0, len(plain), _PLAIN_BYTES):
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + cipher.encrypt(nonce, plain[at : at + _PLAIN_BYTES], None)
        parts.append(struct.pack(">I", len(sealed)) + sealed)
    return b"".join(parts)


def open_records(data: bytes, secret: str, uid: str) -> bytes:
    """The plaintext of all records, joined.

    Raises LegacyFormatError: no record, one that is cut short or says an impossible length, one that does not authenticate (changed,
    of another user, or sealed with another secret).
    """
    cipher = _cipher(secret, uid)
    plain = []
    for number, (at, end) in enumerate(_records(data)):
        sealed_at = at + _NONCE_BYTES
        try:
            plain.append(cipher.decrypt(data[at:sealed_at], data[sealed_at:end], None))
        except InvalidTag:
            # Not chained: it says nothing more.
            raise LegacyFormatError(
                f"sealed records: record {number} does not authenticate: changed, or sealed with another secret"
            ) from None
    return b"".join(plain)


def told_bytes(data: bytes) -> int:
    """How many bytes of plaintext the records say they hold, without opening any; of a broken one what is there. At most len(data)."""
    told = reached = 0
    try:
        for at, end in _records(data):
            told += end - at - _SEALED_BYTES
            reached = end
    except LegacyFormatError:
        return told + max(0, len(data) - reached - RECORD_OVERHEAD_BYTES)
    return told


def _cipher(secret: str, uid: str) -> AESGCM:
    key = HKDF(SHA256(), 32, salt=uid.encode(), info=b"user-data-encryption").derive(secret.encode())
    return AESGCM(key)


def _records(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each record's nonce begins and its tag ends. LegacyFormatError where the lengths do not add up."""
    if not data:
        raise LegacyFormatError("sealed records: there is no record")
    at = number = 0
    while at < len(data):
        if len(data) - at < _LENGTH_BYTES:
            raise LegacyFormatError(
                f"sealed records: record {number} ends within its length: {len(data) - at} of {_LENGTH_BYTES} bytes"
            )
        (length,) = struct.unpack_from(">I", data, at)
        at += _LENGTH_BYTES
        if length < _SEALED_BYTES:
            raise LegacyFormatError(
                f"sealed records: record {number} says it has {length} bytes, less than nonce and tag"
            )
        if length > len(data) - at:
            raise LegacyFormatError(
                f"sealed records: record {number} is cut short: {len(data) - at} of {length} bytes"
            )
        yield at, at + length
        at += length
        number += 1
