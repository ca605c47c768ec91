"""The ring of master keys that seal and open objects, and where it comes from.

Owns the form `k2:<base64>,k1:<base64>` (the first entry seals, all open), and a file of that form that is read again when it
changes. Keys are only handed out by name: no text, repr or error has one in it. It must not seal anything, and imports no
cryptography: settings are checked with it.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import re
import threading
import time
from typing import TYPE_CHECKING, ClassVar, NoReturn

from audiostore.errors import KeyRingError, UnknownKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

KEY_BYTES = 32  # AES-256
MAX_KEY_ID_BYTES = 64
MAX_KEYS = 256
MAX_RING_BYTES = 64 * 1024
CHECK_EVERY_S = 1.0
_BETWEEN_ENTRIES = re.compile(r"\s*,\s*|\s*\n\s*")
_BASE64_CHARACTERS = 44  # of 32 bytes, with the one `=` (RFC 4648 §4)


def valid_key_id(text: str) -> bool:
    """Whether this can be a key's id: 1 to 64 printable ASCII characters, no comma, colon or space."""
    return 1 <= len(text) <= MAX_KEY_ID_BYTES and all("!" <= one <= "~" and one not in ",:" for one in text)


class KeyRing:
    """Master keys by id, in order. Immutable; its repr shows the ids only."""

    empty: ClassVar[KeyRing]
    """A ring without keys: nothing can be sealed or opened with it."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """From keys of 32 bytes by id, the sealing one first. Raises KeyRingError."""
        entries = list(keys.items())
        if len(entries) > MAX_KEYS:
            raise KeyRingError(f"key ring: {len(entries)} entries; {MAX_KEYS} are allowed")
        for number, (key_id, key) in enumerate(entries, 1):
            if not valid_key_id(key_id):
                raise KeyRingError(
                    f"key ring: the id of entry {number} must be 1 to {MAX_KEY_ID_BYTES} printable ASCII characters "
                    "without comma, colon or space"
                )
            if len(key) != KEY_BYTES:
                raise KeyRingError(
                    f"key ring: the key of entry {number} has {len(key)} bytes, not {KEY_BYTES}"
                )
        if len(set(keys.values())) != len(entries):
            raise KeyRingError("key ring: two entries have the same key, so one of them was never rotated")
        self._keys = dict(entries)

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """The ring in `id:base64,id:base64`, or an entry a line, the sealing one first; white space around entries is allowed, no empty entry is.

        Raises KeyRingError, naming the entry by its number and the defect, never what stands there.
        """
        if len(text) > MAX_RING_BYTES:
            raise KeyRingError(f"key ring: longer than {MAX_RING_BYTES} bytes")
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(_BETWEEN_ENTRIES.split(text.strip()), 1):
            if number > MAX_KEYS:
                raise KeyRingError(f"key ring: more than {MAX_KEYS} entries")
            key_id, colon, encoded = entry.strip().partition(":")
            if not colon:
                raise KeyRingError(f"key ring: entry {number} is not of the form id:base64")
            if key_id in keys:
                raise KeyRingError(f"key ring: entry {number} has the id of one before it")
            keys[key_id] = _key(encoded, number)
        return cls(keys)

    @property
    def sealing(self) -> tuple[str, bytes]:
        """Id and key that seal: the first entry. Raises KeyRingError where the ring is empty."""
        for entry in self._keys.items():
            return entry
        raise KeyRingError("key ring: there is no key to seal with")

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, the sealing one first."""
        return tuple(self._keys)

    def key(self, key_id: str) -> bytes:
        """The key of this id. Raises UnknownKeyError."""
        try:
            return self._keys[key_id]
        except KeyError:
            raise UnknownKeyError(key_id) from None

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key ring is never written down")


KeyRing.empty = KeyRing({})


class KeySource:
    """Where the ring comes from: a text, a file, or nowhere (then it is empty). Safe to ask from any thread.

    A file is looked at again when it was asked at least `CHECK_EVERY_S` ago, and read again when it changed, in place or by
    replacing it or a symlink on the way to it, as Kubernetes does. A file that cannot be used leaves the last good ring in force;
    `complaint` says so until it is put right.
    """

    def __init__(
        self,
        text: str | None = None,
        path: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises KeyRingError where text or file is no ring, or both are given."""
        if text is not None and path is not None:
            raise KeyRingError("key ring: it comes from a text or from a file, not from both")
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._complaint: str | None = None
        self._version = 0
        self._ring = KeyRing.empty if text is None else KeyRing.parse(text)
        self._seen: tuple[int, int, int] | None = None
        if path is not None:
            self._ring, self._seen = _read(path)
        self._checked_s = clock()

    @property
    def complaint(self) -> str | None:
        """What is wrong with the file since the ring in force was read from it; None where nothing is."""
        return self._complaint

    @property
    def version(self) -> int:
        """How often the keys of the ring in force have changed: by their ids or under them, not in their order."""
        return self._version

    def ring(self) -> KeyRing:
        """The ring in force."""
        if self._path is None:
            return self._ring
        with self._lock:
            now_s = self._clock()
            if now_s - self._checked_s >= CHECK_EVERY_S:
                self._checked_s = now_s
                self._look_again(self._path)
            return self._ring

    def _look_again(self, path: Path) -> None:
        # One that was broken is read each time: it may have been looked at while it was being written.
        if self._complaint is None and _version(path) == self._seen:
            return
        try:
            ring, self._seen = _read(path)
        except KeyRingError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.critical(
                    "the keys file cannot be used: the keys stay as they were",
                    extra={"reason": self._complaint, "keys": list(self._ring.ids)},
                )
            return
        self._complaint = None
        changed = [one for one in ring.ids if one in self._ring.ids and ring.key(one) != self._ring.key(one)]
        if changed:
            log.critical(
                "keys have changed under their ids: what the former ones sealed cannot be opened any more",
                extra={"keys": changed},
            )
        if changed or set(ring.ids) != set(self._ring.ids):
            self._version += 1
        if ring.ids != self._ring.ids:
            log.info("read the keys file again", extra={"keys": list(ring.ids)})
        self._ring = ring

    def __repr__(self) -> str:
        return f"KeySource({self._ring!r}, path={str(self._path) if self._path else None!r})"


def _key(encoded: str, number: int) -> bytes:
    """The 32 bytes in standard base64 (RFC 4648 §4), written as an encoder would. Raises KeyRingError."""
    if len(encoded) != _BASE64_CHARACTERS:
        raise KeyRingError(
            f"key ring: the key of entry {number} is not the {_BASE64_CHARACTERS} characters of base64 that {KEY_BYTES} bytes make"
        )
    try:
        key = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        # Not chained: the library's text may quote what stands there.
        raise KeyRingError(f"key ring: the key of entry {number} is no standard base64") from None
    if len(key) != KEY_BYTES or base64.b64encode(key).decode() != encoded:
        raise KeyRingError(f"key ring: the key of entry {number} is no standard base64 of {KEY_BYTES} bytes")
    return key


def _version(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file at the end of all symlinks is written or replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> tuple[KeyRing, tuple[int, int, int]]:
    """The ring in the file, and the version of exactly the file that was read. Raises KeyRingError."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            content = file.read(MAX_RING_BYTES + 1)
    except OSError as error:
        raise KeyRingError(f"key ring: {path} cannot be read: {error.strerror}") from error
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        raise KeyRingError(f"{path}: key ring: it is no ASCII text") from None
    try:
        ring = KeyRing.parse(text)
    except KeyRingError as error:
        raise KeyRingError(f"{path}: {error}") from None
    return ring, (found.st_mtime_ns, found.st_size, found.st_ino)
