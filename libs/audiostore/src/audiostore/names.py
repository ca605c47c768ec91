"""Names of batch objects: who, which conversation, from when to when, sealed or not.

Owns the layout `chunks/{uid}/{conversation_id}/{start}-{end}.batch.bin|enc` and nothing else: it never looks into an object. An
older format has names of the same shape (`{first}-{last}.batch.bin`, raw PCM, where `last` is the *start* of the last chunk), so a
name that parses says where and roughly when, and only the first bytes of the object say whether it is ours.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from audiostore.errors import BadNameError

ROOT = "chunks/"
MAX_TIME_MS = (
    99_999_999_999_999  # eleven digits of seconds: past the year 5000, and a bound for what is parsed
)
CONTENT_TYPE = "audio/ogg; codecs=opus"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}", re.ASCII)
_TIME = r"(0|[1-9][0-9]{0,10})\.([0-9]{3})"
_FILE = re.compile(rf"{_TIME}-{_TIME}\.batch\.(bin|enc)", re.ASCII)


def timestamp(ms: int) -> str:
    """Unix milliseconds as names and tags write them: seconds with three decimals."""
    return f"{ms // 1000}.{ms % 1000:03d}"


@dataclass(frozen=True, slots=True)
class BatchName:
    """The name of one batch.

    `start_ms` and `end_ms` are unix ms, rounded down: the first played sample, and the moment after the last one (or a few ms more,
    where the name was taken by other runs). `sealed`: the object is `.batch.enc`. Raises BadNameError for ids or times that
    cannot be in a name.
    """

    uid: str
    conversation_id: str
    start_ms: int
    end_ms: int
    sealed: bool = False

    def __post_init__(self) -> None:
        _check_id("uid", self.uid)
        _check_id("conversation id", self.conversation_id)
        if not 0 <= self.start_ms <= self.end_ms <= MAX_TIME_MS:
            raise BadNameError(
                f"a batch from {self.start_ms} ms to {self.end_ms} ms cannot be named: times begin at 0, do not run backwards, "
                f"and end at {MAX_TIME_MS}"
            )

    @property
    def path(self) -> str:
        """The object's name in the store."""
        suffix = "enc" if self.sealed else "bin"
        times = f"{timestamp(self.start_ms)}-{timestamp(self.end_ms)}"
        return f"{conversation_prefix(self.uid, self.conversation_id)}{times}.batch.{suffix}"


def parse_name(path: str) -> BatchName | None:
    """The parts of a batch's name, or None for whatever is not named like one (older formats, other files).

    Only names that `BatchName.path` could have made are taken, so parse and path are inverse.
    """
    parts = path.split("/")
    if len(parts) != 4 or f"{parts[0]}/" != ROOT:
        return None
    match = _FILE.fullmatch(parts[3])
    if match is None or not (_ID.fullmatch(parts[1]) and _ID.fullmatch(parts[2])):
        return None
    start_ms = int(match[1]) * 1000 + int(match[2])
    end_ms = int(match[3]) * 1000 + int(match[4])
    if end_ms < start_ms:
        return None
    return BatchName(parts[1], parts[2], start_ms, end_ms, sealed=match[5] == "enc")


def user_prefix(uid: str) -> str:
    """`chunks/{uid}/`: what everything of a user begins with. Raises BadNameError."""
    return f"{ROOT}{_check_id('uid', uid)}/"


def conversation_prefix(uid: str, conversation_id: str) -> str:
    """`chunks/{uid}/{conversation_id}/`. Raises BadNameError."""
    return f"{user_prefix(uid)}{_check_id('conversation id', conversation_id)}/"


def parse_conversation_prefix(prefix: str) -> tuple[str, str] | None:
    """(uid, conversation id) of a folder as `Store.list_folders(user_prefix(uid))` gives it; None for a foreign one."""
    parts = prefix.split("/")
    if len(parts) != 4 or f"{parts[0]}/" != ROOT or parts[3]:
        return None
    if not (_ID.fullmatch(parts[1]) and _ID.fullmatch(parts[2])):
        return None
    return parts[1], parts[2]


@functools.lru_cache(maxsize=1024)
def valid_id(text: str) -> bool:
    """Whether this can be a uid or a conversation id in a name."""
    return _ID.fullmatch(text) is not None


def _check_id(kind: str, text: str) -> str:
    """The id itself, where it can be a part of a name. Services check at their doors; a name is the last door."""
    if not _ID.fullmatch(text):
        raise BadNameError(
            f"the {kind} {text[:140]!r} cannot be part of an object's name: it must match {_ID.pattern}"
        )
    return text
