"""Service tokens: other services of the operator, known by the SHA-256 of a long random token.

Owns the file of hashes, and reads it again when it changes, so that tokens can be rotated without a restart. The tokens
themselves are never kept. Must not decide what a scope allows.
"""

import hashlib
import hmac
import logging
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from servicekit.auth import MAX_TOKEN_BYTES
from servicekit.errors import KeySourceError
from servicekit.ids import valid_id

log = logging.getLogger(__name__)

Scope = Literal["audio:read", "audio:write", "users:admin", "ops:admin"]

MAX_FILE_BYTES: Final = 1024 * 1024


class ServiceIdentity(msgspec.Struct, frozen=True):
    """A service that showed its token: its name (for audit logs) and what it may do, for any user."""

    name: str
    scopes: frozenset[Scope]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{64}$")]
    scopes: frozenset[Scope]


class ServiceTokens:
    """The tokens in TAPEDECK_SERVICE_TOKENS_FILE; without a file there are none. Several may have one name."""

    def __init__(self, path: Path | None) -> None:
        """Read the file; KeySourceError where it cannot be used."""
        self._path = path
        self._seen = _version(path)
        self._entries = _read(path) if path is not None else ()

    def verify(self, token: str) -> ServiceIdentity | None:
        """Whose token it is, or None. Takes the same time for every token of one length."""
        self._refresh()
        if len(token) > MAX_TOKEN_BYTES:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest().encode()
        found = None
        for entry in self._entries:  # all of them, always: the time says nothing about which one it was
            if hmac.compare_digest(entry.sha256.lower().encode(), digest):
                found = entry
        return ServiceIdentity(found.name, found.scopes) if found else None

    def _refresh(self) -> None:
        """Read the file again if it changed; one that cannot be used leaves the tokens as they were, and is logged once."""
        version = _version(self._path)
        if self._path is None or version == self._seen:
            return
        self._seen = version
        try:
            self._entries = _read(self._path)
        except KeySourceError as error:
            log.error("the service tokens stay as they were", extra={"reason": str(error)})  # noqa: TRY400 - text says it all
        else:
            log.info("read the service tokens again", extra={"tokens": len(self._entries)})


def _version(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; None where there is none."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> tuple[_Entry, ...]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeySourceError(f"cannot read the service tokens in {path}: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise KeySourceError(f"the service tokens in {path} are longer than {MAX_FILE_BYTES} bytes")
    try:
        entries = msgspec.json.decode(content, type=tuple[_Entry, ...])
    except msgspec.DecodeError as error:
        # msgspec names the place and the kind of mistake, never the value.
        raise KeySourceError(
            f"the service tokens in {path} are no list of name, sha256, scopes: {error}"
        ) from error
    for entry in entries:
        if not valid_id(entry.name):
            raise KeySourceError(f"a service token in {path} has a name that is no valid id")
    return entries
