"""Ids: which texts may name a user or a conversation, and new ones.

Owns the one pattern that is checked at every door, the ids we make ourselves, and how a foreign identity becomes a uid.
Must not look anything up.
"""

import hashlib
import os
import re
import time
import uuid
from typing import Final

from servicekit.errors import IdError

MAX_ID_LENGTH: Final = 128
# `\Z`, because `$` would let a newline through. The first character keeps "..", hidden files and options out.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}\Z")


def valid_id(text: str) -> bool:
    """Whether `text` may be a uid or conversation id: `[A-Za-z0-9][A-Za-z0-9._@-]{0,127}`."""
    return _ID.match(text) is not None


def check_id(kind: str, text: str) -> str:
    """`text`, if it is a valid id; else IdError, which names `kind` and never repeats the text."""
    if not valid_id(text):
        raise IdError(kind)
    return text


def new_conversation_id() -> str:
    """A fresh UUIDv7 (RFC 9562 §5.7) in its usual text form: sorts by the millisecond of its making."""
    return str(uuid7(time.time_ns() // 1_000_000, os.urandom(10)))


def uuid7(unix_ms: int, randomness: bytes) -> uuid.UUID:
    """The UUIDv7 of a unix time in ms and 10 random bytes, of which 74 bits are used (RFC 9562 §5.7)."""
    rand_a = int.from_bytes(randomness[:2]) & 0xFFF
    rand_b = int.from_bytes(randomness[2:10]) & ((1 << 62) - 1)
    return uuid.UUID(int=(unix_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)


def uid_from_claim(claim: str) -> str:
    """The uid of an identity: the claim itself where it is a valid id, else `sha256-` and 32 hex digits of its hash.

    `auth0|5f7c8ec7c33c6c004bbafe82` is no valid id: its uid is `sha256-` and the first 32 hex digits of the SHA-256 of its
    UTF-8 bytes. This never changes, for stored audio is found by it. A claim that already has that form is hashed too,
    so that nobody can take another's uid by choosing it as a name.
    """
    if valid_id(claim) and _MAPPED.match(claim) is None:
        return claim
    return "sha256-" + hashlib.sha256(claim.encode("utf-8", "surrogatepass")).hexdigest()[:32]


_MAPPED: Final = re.compile(r"sha256-[0-9a-f]{32}\Z")
