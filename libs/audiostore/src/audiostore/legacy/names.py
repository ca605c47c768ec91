"""The one place that says whether a listed name is audio, and whose: ours, one of the six older formats, or neither.

Owns the grammar of all names below `chunks/{uid}/{conversation_id}/`, and the first bytes that tell ours from older ones of the same
name. A name alone decides for `.bin`, `.enc`, `.opus` and `.opus.enc`; a `.batch.bin` or `.batch.enc` may be either.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from audiostore.names import ROOT, valid_id
from audiostore.sealing import MAGIC as SEALED_MAGIC

Extension: TypeAlias = Literal["opus.enc", "batch.enc", "batch.bin", "opus", "enc", "bin"]

MAGIC_BYTES = 8
"""So many first bytes of an object are enough for `is_ours`."""

_TIME = r"([0-9]{1,11}\.[0-9]{3})"  # seconds past the year 5000 are no time
_FILE = re.compile(
    # Longest first: `.opus.enc` is no `.enc`.
    rf"{_TIME}(?:(?:-{_TIME})?\.(batch\.(?:enc|bin))|\.(opus\.enc|opus|enc|bin))",
    re.ASCII,
)
_OURS = {"batch.bin": b"OggS", "batch.enc": SEALED_MAGIC}
_CODECS = {
    "opus.enc": "opus", "batch.enc": "pcm", "batch.bin": "pcm", "opus": "opus", "enc": "pcm", "bin": "pcm",
}  # fmt: skip
_RANKS = {"opus.enc": 0, "enc": 1, "batch.enc": 1, "opus": 2, "bin": 3, "batch.bin": 3}


@dataclass(frozen=True, slots=True)
class AudioName:
    """What the name of an object with audio in it says. Times are unix ms."""

    path: str
    """The whole name in the store."""
    uid: str
    conversation_id: str
    start_ms: int
    """The first sample."""
    last_ms: int | None
    """The second time in the name of a batch: where ours ends, rounded down; where the last chunk of an older one *starts*."""
    extension: Extension

    @property
    def sealed(self) -> bool:
        """Whether it takes a key to read it."""
        return self.extension.endswith("enc")

    @property
    def is_batch(self) -> bool:
        """Whether it may hold more than one chunk. Only these can be ours."""
        return self.extension.startswith("batch")

    @property
    def codec(self) -> str:
        """What it holds if it is an older one: `pcm` or `opus`."""
        return _CODECS[self.extension]

    @property
    def rank(self) -> int:
        """Which of several older objects that start at the same time is the best: the lowest (objects.md)."""
        return _RANKS[self.extension]


def parse_audio_name(path: str) -> AudioName | None:
    """The parts of the name, or None where it is not audio: another extension, no timestamp, no conversation's folder."""
    folder, _, file = path.rpartition("/")
    whose, match = _whose(folder), _FILE.fullmatch(file)
    if whose is None or match is None:
        return None
    start, last, batch, chunk = match.groups()
    last_ms = None if last is None else _ms(last)
    return AudioName(path, *whose, _ms(start), last_ms, cast("Extension", batch or chunk))


def _ms(seconds: str) -> int:
    """Of seconds with three decimals."""
    return int(seconds.replace(".", ""))


@functools.lru_cache(maxsize=1024)
def _whose(folder: str) -> tuple[str, str] | None:
    """User and conversation of a folder; None where it is none of a conversation."""
    parts = folder.split("/")
    if len(parts) != 3 or f"{parts[0]}/" != ROOT or not (valid_id(parts[1]) and valid_id(parts[2])):
        return None
    return parts[1], parts[2]


def is_ours(name: AudioName, head: bytes) -> bool:
    """Whether the object is ours, by its first `MAGIC_BYTES`; else it is one of the older formats."""
    magic = _OURS.get(name.extension)
    return magic is not None and head.startswith(magic)
