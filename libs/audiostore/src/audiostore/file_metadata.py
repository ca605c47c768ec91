"""What a file system keeps of an object beside its bytes: metadata and CRC32C, in one extended attribute of the file. Blocks.

Owns the attribute's form, and when it is believed: only of the very bytes with which it was written. Of a file that anybody changed since, be it
in place and to the same length, it says nothing. Where there is no room for it (ext4 has 4 KB in all), or no such thing (macOS, some network file
systems), the file has none, and whoever reads it takes the tags inside. All names of one file have the same.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTRIBUTE: Final = "user.tapedeck"
MOST_BYTES: Final = 16 * 1024
"""Of the attribute: all that an object's metadata may have, and what JSON needs around it."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class FileMetadata(msgspec.Struct, frozen=True):
    """The attribute, as JSON."""

    version: Literal[1]
    size: Number
    """Bytes of the file."""
    modified_ns: int
    """When it was last written, as the file system says."""
    crc32c: Number
    """Of the content."""
    metadata: dict[str, str]
    """All that `put` was given."""


_decoder: Final = msgspec.json.Decoder(FileMetadata)


def write(descriptor: int, crc32c: int, metadata: Mapping[str, str]) -> bool:
    """Gives an open file that is written its attribute; durable with the file's next `fsync`. Whether it has it now, whole."""
    if not hasattr(os, "setxattr"):
        return False
    # Nothing is lost without it, whatever the file system has against it; what is wrong with the disk the file's own writes tell.
    with suppress(OSError):
        written = os.fstat(descriptor)
        # A little earlier than any write: one in the same tick of the file system's clock would leave no trace.
        os.utime(descriptor, ns=(written.st_atime_ns, written.st_mtime_ns - 1))
        dated = os.fstat(descriptor)
        told = FileMetadata(1, dated.st_size, dated.st_mtime_ns, crc32c, dict(metadata))
        value = msgspec.json.encode(told)
        if dated.st_mtime_ns < written.st_mtime_ns and len(value) <= MOST_BYTES:
            os.setxattr(descriptor, ATTRIBUTE, value)
            return True
    return False


def read(file: int | str, status: os.stat_result) -> FileMetadata | None:
    """What was written with the bytes of a file, open or by its path, that has this status; None where nothing was, or it changed since."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        value = os.getxattr(file, ATTRIBUTE, follow_symlinks=isinstance(file, int))
        told = _decoder.decode(value) if len(value) <= MOST_BYTES else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if told is None or (told.size, told.modified_ns) != (status.st_size, status.st_mtime_ns):
        return None
    return told
