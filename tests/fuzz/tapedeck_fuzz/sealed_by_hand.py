"""The sealed file written down a second time, from the page that specifies it: the judge of what sealing opens.

Shares no line with `audiostore.sealing`; HKDF (RFC 5869) is made from HMAC here. Record size is an argument, so that files of many
records stay small.
"""

import functools
import hashlib
import hmac
import struct
from dataclasses import dataclass, replace
from random import Random

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw

UID = "user-1"
KEYS = {"k2": bytes(range(32)), "k1": bytes(range(32, 64))}
"""The ring of the fuzzing: k2 seals."""
_MAGIC = b"TDSEAL01"


def derived(
    master: bytes, uid: str, file_id: bytes, info: bytes = b"tapedeck-seal-v1", size: int = 39
) -> bytes:
    """HKDF-SHA256 of the page: 32 bytes of key, 7 of nonce prefix."""
    pseudo_random_key = hmac.digest(uid.encode(), master, "sha256")
    out = block = b""
    for number in range(1, -(-size // hashlib.sha256().digest_size) + 1):
        block = hmac.digest(pseudo_random_key, block + info + file_id + bytes((number,)), "sha256")
        out += block
    return out[:size]


@functools.lru_cache(maxsize=256)
def _cipher(key_id: str, uid: str, file_id: bytes) -> tuple[AESGCM, bytes]:
    out = derived(KEYS[key_id], uid, file_id)
    return AESGCM(out[:32]), out[32:]


@dataclass(frozen=True)
class Record:
    """One record: what is in it, and what its nonce says."""

    plain: bytes
    number: int
    last: bool
    claimed: int | None = None
    """The length that is written before it, where that is not the true one."""


@dataclass(frozen=True)
class File:
    """A sealed file by its parts."""

    key_id: str
    file_id: bytes
    records: tuple[Record, ...]
    after: bytes = b""


def join(file: File, uid: str = UID) -> bytes:
    """The bytes of the file, with everything encrypted as it should be."""
    cipher, prefix = _cipher(file.key_id if file.key_id in KEYS else "k1", uid, file.file_id)
    parts = [_MAGIC, bytes((len(file.key_id) & 0xFF,)), file.key_id.encode("latin-1"), file.file_id]
    for record in file.records:
        nonce = prefix + struct.pack(">IB", record.number & 0xFFFF_FFFF, record.last)
        body = nonce + cipher.encrypt(nonce, record.plain, uid.encode())
        length = len(body) if record.claimed is None else record.claimed
        parts += [struct.pack(">I", length & 0xFFFF_FFFF), body]
    return b"".join((*parts, file.after))


def split(data: bytes, record_bytes: int, uid: str = UID) -> tuple[File, str | None]:  # noqa: PLR0911 - one for each rule
    """As much of the file as authenticates, and why the rest does not; None where all of it does."""
    empty = File("", b"", ())
    if data[:8] != _MAGIC or len(data) < 9:
        return empty, "no magic"
    size = data[8]
    key_id, file_id = data[9 : 9 + size].decode("latin-1"), data[9 + size : 25 + size]
    if not 1 <= size <= 64 or len(file_id) < 16 or key_id not in KEYS:
        return empty, "no header, or no key"
    cipher, prefix = _cipher(key_id, uid, file_id)
    file = File(key_id, file_id, ())
    at = 25 + size
    while at < len(data):
        if file.records and file.records[-1].last:
            return file, "bytes after the last record"
        if at + 4 > len(data):
            return file, "cut short"
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 4 + length]
        if length < 28 or len(body) < length:
            return file, "a length that cannot be"
        number, last = len(file.records), body[11] == 1
        if body[:12] != prefix + struct.pack(">IB", number, last):
            return file, "a nonce that is not its own"
        try:
            plain = cipher.decrypt(body[:12], body[12:], uid.encode())
        except InvalidTag:
            return file, "a tag that is wrong"
        if len(plain) > record_bytes or (len(plain) < record_bytes and not last):
            return file, "a record of a wrong size"
        file = replace(file, records=(*file.records, Record(plain, number, last)))
        at += 4 + length
    return file, None if file.records and file.records[-1].last else "no last record"


def mutate(  # noqa: C901, PLR0911, PLR0912 - a list of changes, each a line or two
    data: bytes, random: Random, raw: Raw, record_bytes: int
) -> bytes:
    """A record changed, left out, doubled, moved, split or cut, and encrypted with the right key again."""
    file, _ = split(data, record_bytes)
    if not file.records:
        return raw(data)
    records = list(file.records)
    at = random.randrange(len(records))
    match random.randrange(12):
        case 0:
            records[at] = replace(records[at], plain=raw(records[at].plain))
        case 1:
            records[at] = replace(records[at], last=not records[at].last)
        case 2:
            records[at] = replace(records[at], number=edits.number(records[at].number, random))
        case 3:
            records[at] = replace(records[at], claimed=edits.number(len(records[at].plain) + 28, random))
        case 4:
            records = edits.items(records, random)
        case 5:  # left out, doubled or moved, and numbered as if nothing had been
            records = [
                replace(record, number=number) for number, record in enumerate(edits.items(records, random))
            ]
        case 6:  # another plaintext, parted as it should be
            return whole(file, raw(b"".join(record.plain for record in records)), record_bytes)
        case 7:
            return join(replace(file, after=random.choice((b"\0", data[:8], data[-44:], data))))
        case 8:
            return join(
                replace(file, key_id=random.choice(("k1", "k2", "k3", "K2", "", "k\n", "k" * 65, "\xff")))
            )
        case 9:
            return join(replace(file, file_id=raw(file.file_id)[:16].ljust(16, b"\0")))
        case 10:  # a record of another file
            other = join(replace(file, file_id=bytes(16)))
            start, stray = random.randrange(25, len(data)), random.randrange(25, len(other))
            return data[:start] + other[stray:]
        case _:
            return join(file, uid=random.choice(("user-2", "user-", "user-1 ", "USER-1")))
    return join(replace(file, records=tuple(records)))


def whole(file: File, plain: bytes, record_bytes: int) -> bytes:
    """A right file of another plaintext, with the key and the file id of this one."""
    pieces = [plain[at : at + record_bytes] for at in range(0, len(plain), record_bytes)] or [b""]
    records = tuple(Record(piece, number, number == len(pieces) - 1) for number, piece in enumerate(pieces))
    return join(replace(file, records=records))
