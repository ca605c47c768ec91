"""The sealed file: AES-256-GCM in records, made and opened in one go or as a stream (objects.md, "Sealing").

    magic "TDSEAL01" | u8 key id length, key id | 16-byte file id | record*
    record: u32 be length of what follows | 12-byte nonce | ciphertext and 16-byte tag
    HKDF-SHA256(ikm = master key, salt = uid, info = "tapedeck-seal-v1" and file id, 39 bytes): 32 of key, 7 of nonce prefix
    nonce: prefix | u32 be record number | u8 1 on the last record, else 0        AAD: uid

Owns this format and nothing else: it knows no names and no Ogg. Every record but the last holds exactly 65,536 bytes of plaintext, and
there is always a last one: that of an empty file holds nothing. No byte is handed out that was not authenticated. Every length
is checked before anything is read or allocated for it. Errors never hold key material or plaintext.
"""

from __future__ import annotations

import secrets
import struct
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audiostore.errors import SealError, TamperedError
from audiostore.key_ring import MAX_KEY_ID_BYTES, valid_key_id

if TYPE_CHECKING:
    from audiostore.key_ring import KeyRing

MAGIC = b"TDSEAL01"
CONTENT_TYPE = "application/octet-stream"  # of the object: it plays nowhere, and its name says what it is
RECORD_BYTES = 65_536  # plaintext of every record but the last
MAX_UID_BYTES = 1024

_INFO = b"tapedeck-seal-v1"
_FILE_ID_BYTES = 16
_KEY_BYTES, _PREFIX_BYTES = 32, 7
_NONCE_BYTES, _TAG_BYTES = 12, 16
_LENGTH_BYTES = 4
_OVERHEAD_BYTES = _NONCE_BYTES + _TAG_BYTES
_FULL_BYTES = RECORD_BYTES + _OVERHEAD_BYTES
_MAX_RECORDS = 2**32  # what the record number can count

HEADER_BYTES = len(MAGIC) + 1 + MAX_KEY_ID_BYTES + _FILE_ID_BYTES
"""So many first bytes of any sealed file hold its header: enough for `sealed_key_id`."""
HEAD_BYTES = HEADER_BYTES + _LENGTH_BYTES + _FULL_BYTES
"""So many first bytes of any sealed file hold its first record: enough for `open_head`."""


def seal(plain: bytes, ring: KeyRing, uid: str) -> bytes:
    """The sealed file that holds `plain`, for this user, with the ring's first key; another one each time.

    Raises KeyRingError (the ring is empty) or SealError.
    """
    sealer = Sealer(ring, uid)
    return sealer.update(plain) + sealer.finish()


def open_sealed(data: bytes, ring: KeyRing, uid: str) -> bytes:
    """The plaintext of a whole sealed file. Raises UnknownKeyError or TamperedError."""
    opener = Opener(ring, uid)
    plain = opener.update(data)
    opener.finish()
    return plain


def open_head(prefix: bytes, ring: KeyRing, uid: str) -> bytes:
    """The plaintext of the first record, authenticated: of the first `HEAD_BYTES` of a file, or of all of one that is shorter.

    At most 65,536 bytes, enough for the OpusHead and OpusTags of any batch. It says nothing about the records behind it.
    Raises UnknownKeyError or TamperedError.
    """
    header = _header(prefix)
    if header is None:
        raise TamperedError("sealed file: it ends within its header")
    key_id, file_id, at = header
    taken = _Records(ring.key(key_id), uid, file_id).take(memoryview(prefix)[at:])
    if taken is None:
        raise TamperedError("sealed file: it ends within record 0")
    plain, size, last = taken
    if last and at + size < len(prefix):
        raise TamperedError("sealed file: bytes follow the last record")
    return plain


def sealed_key_id(prefix: bytes) -> str:
    """The id of the key that seals a file, from its first `HEADER_BYTES`. Nothing is authenticated. Raises TamperedError."""
    header = _header(prefix)
    if header is None:
        raise TamperedError("sealed file: it ends within its header")
    return header[0]


class Sealer:
    """Seals a file piece by piece; holds back one record at most, because the last one is marked. For one file, then used up."""

    def __init__(self, ring: KeyRing, uid: str, *, file_id: bytes | None = None) -> None:
        """With the ring's first key. `file_id`: 16 bytes never used before; only tests give one.

        Raises KeyRingError (the ring is empty) or SealError.
        """
        key_id, key = ring.sealing
        if file_id is None:
            file_id = secrets.token_bytes(_FILE_ID_BYTES)
        if len(file_id) != _FILE_ID_BYTES:
            raise SealError(f"sealing: a file id of {len(file_id)} bytes, not {_FILE_ID_BYTES}")
        name = key_id.encode("ascii")
        self._header = MAGIC + bytes([len(name)]) + name + file_id
        self._records = _Records(key, uid, file_id)
        self._held = bytearray()
        self._finished = False

    def update(self, plain: bytes) -> bytes:
        """What is ready of the file: the header first, and every record that is not the last. Raises SealError."""
        if self._finished:
            raise SealError("sealing: the file was finished already")
        parts, self._header = [self._header], b""
        piece = memoryview(plain)
        # A full record is held back until more comes: it might be the last one.
        while len(self._held) + len(piece) > RECORD_BYTES:
            wanted = RECORD_BYTES - len(self._held)
            self._held += piece[:wanted]
            piece = piece[wanted:]
            parts.append(self._records.make(self._held, last=False))
            self._held.clear()
        self._held += piece
        return b"".join(parts)

    def finish(self) -> bytes:
        """The rest of the file, with its last record. Raises SealError where it was finished before."""
        rest = self.update(b"")
        self._finished = True
        return rest + self._records.make(self._held, last=True)


class Opener:
    """Opens a file piece by piece; holds one record at most beside the piece. For one file, then used up.

    What it hands out is authenticated; only `finish` knows that nothing is missing behind it. After an error it opens nothing more.
    """

    def __init__(self, ring: KeyRing, uid: str) -> None:
        self._ring = ring
        self._uid = uid
        self._held = bytearray()
        self._records: _Records | None = None
        self._ended = False
        self._failed = False

    def update(self, data: bytes) -> bytes:
        """The plaintext of all records that are complete now. Raises UnknownKeyError, TamperedError or SealError."""
        if self._failed:
            raise SealError("opening: the file was refused already")
        try:
            return self._update(data)
        except SealError:
            self._failed = True
            self._held = bytearray()
            raise

    def finish(self) -> None:
        """Nothing, if the file was whole. Raises TamperedError where it was cut short."""
        self.update(b"")
        if self._records is None:
            self._failed = True
            raise TamperedError("sealed file: it ends within its header")
        if not self._ended:
            self._failed = True
            within = f"within record {self._records.number}" if self._held else "without a last record"
            raise TamperedError(f"sealed file: it ends {within}")

    def _update(self, data: bytes) -> bytes:
        self._held += data
        at = 0
        if self._records is None:
            header = _header(self._held)
            if header is None:
                return b""
            key_id, file_id, at = header
            self._records = _Records(self._ring.key(key_id), self._uid, file_id)
        parts = []
        with memoryview(self._held) as held:
            while not self._ended and (taken := self._records.take(held[at:])) is not None:
                plain, size, self._ended = taken
                parts.append(plain)
                at += size
        del self._held[:at]
        if self._ended and self._held:
            raise TamperedError("sealed file: bytes follow the last record")
        return b"".join(parts)


class _Records:
    """The records of one file, in order: its derived key, and the number of the next one."""

    def __init__(self, master_key: bytes, uid: str, file_id: bytes) -> None:
        try:
            self._aad = uid.encode()
        except UnicodeEncodeError:
            raise SealError("sealing: the uid is no UTF-8") from None
        if not 1 <= len(self._aad) <= MAX_UID_BYTES:
            raise SealError(f"sealing: a uid of {len(self._aad)} bytes, not 1 to {MAX_UID_BYTES}")
        derived = HKDF(SHA256(), _KEY_BYTES + _PREFIX_BYTES, salt=self._aad, info=_INFO + file_id).derive(
            master_key
        )
        self._cipher = AESGCM(derived[:_KEY_BYTES])
        self._prefix = derived[_KEY_BYTES:]
        self.number = 0

    def make(self, plain: bytes | bytearray, *, last: bool) -> bytes:
        """The next record, with its length."""
        nonce = self._nonce(last=last)
        self.number += 1
        length = struct.pack(">I", len(plain) + _OVERHEAD_BYTES)
        return b"".join((length, nonce, self._cipher.encrypt(nonce, plain, self._aad)))

    def take(self, data: memoryview) -> tuple[bytes, int, bool] | None:
        """Plaintext of the record at the start of `data`, its whole size, and whether it is the last; None where it is not all there.

        Raises TamperedError.
        """
        if len(data) < _LENGTH_BYTES:
            return None
        (length,) = struct.unpack_from(">I", data)
        if not _OVERHEAD_BYTES <= length <= _FULL_BYTES:
            raise TamperedError(
                f"sealed file: record {self.number} says it has {length} bytes, where {_OVERHEAD_BYTES} to {_FULL_BYTES} can be"
            )
        size = _LENGTH_BYTES + length
        if len(data) < size:
            return None
        nonce = bytes(data[_LENGTH_BYTES : _LENGTH_BYTES + _NONCE_BYTES])
        last = nonce == self._nonce(last=True)
        if not last and nonce != self._nonce(last=False):
            raise TamperedError(f"sealed file: record {self.number} has a nonce that is not its own")
        if not last and length != _FULL_BYTES:
            raise TamperedError(f"sealed file: record {self.number} is short and not the last")
        try:
            plain = self._cipher.decrypt(nonce, data[_LENGTH_BYTES + _NONCE_BYTES : size], self._aad)
        except InvalidTag:
            # Not chained: it says nothing more.
            raise TamperedError(f"sealed file: record {self.number} does not authenticate") from None
        self.number += 1
        return plain, size, last

    def _nonce(self, *, last: bool) -> bytes:
        if self.number >= _MAX_RECORDS:
            raise SealError(f"sealed file: more than {_MAX_RECORDS} records")
        return self._prefix + struct.pack(">IB", self.number, last)


def _header(data: bytes | bytearray) -> tuple[str, bytes, int] | None:
    """Key id, file id, and where the records begin; None where `data` ends before that. Raises TamperedError."""
    magic = bytes(data[: len(MAGIC)])
    if not MAGIC.startswith(magic):
        raise TamperedError("sealed file: it does not begin with TDSEAL01")
    if len(data) <= len(MAGIC):
        return None
    size = data[len(MAGIC)]
    if not 1 <= size <= MAX_KEY_ID_BYTES:
        raise TamperedError(f"sealed file: header: a key id of {size} bytes, not 1 to {MAX_KEY_ID_BYTES}")
    at = len(MAGIC) + 1 + size
    end = at + _FILE_ID_BYTES
    if len(data) < end:
        return None
    key_id = bytes(data[len(MAGIC) + 1 : at]).decode("latin-1")
    if not valid_key_id(key_id):
        raise TamperedError(
            "sealed file: header: the key id is no printable ASCII without comma, colon and space"
        )
    return key_id, bytes(data[at:end]), end
