"""What a bucket is to Tapedeck: the interface that all backends fulfil, and the limits of what may be handed to them.

Owns the contract, not the work: backends stand in files of their own and one behaviour suite runs over all of them. Callers
translate nothing: every method raises only errors of `audiostore.errors` (StoreError and below).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from audiostore.errors import BadNameError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

MAX_NAME_BYTES = 1024  # what Google Cloud Storage allows
MAX_SEGMENT_BYTES = 255  # what file systems allow between two slashes
MAX_METADATA_BYTES = (
    8192  # what Google Cloud Storage and Azure allow, keys and values together; S3 keeps 2048
)
MAX_OBJECT_BYTES = (
    64 * 1024 * 1024
)  # what `put` and `get` move in one piece; the pusher ends a batch long before
PAGE_OBJECTS = 1000  # objects a listing fetches at once
CONTENT_CRC32C = "content-crc32c"
METADATA_LEFT_OUT = "metadata-left-out"
RESERVED_METADATA = frozenset({CONTENT_CRC32C, METADATA_LEFT_OUT})
"""Metadata that backends without a CRC32C of their own write for themselves; callers neither give nor see it."""

# Metadata travels in HTTP headers, whose names know no case and whose edges and double spaces are not kept; Azure allows identifiers only,
# into which these keys can be turned and back.
_METADATA_KEY = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_METADATA_VALUE = re.compile(r"[!-~]+( [!-~]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says about an object without its bytes.

    `crc32c`: of the whole content; None where a listing would have to open the object to know it (`head` knows it), and where another
    program wrote the object and the backend keeps no CRC32C.
    `metadata`: all that `put` was given, or None, never a part of it: None where the backend keeps none (some file systems), where a listing would
    have to ask for each object to know it (file://, s3://, az://: `head` knows it; `with_metadata`), and where it was more than the backend keeps.
    Who needs it then reads the tags in the object.
    `claimed`: the CRC32C is what its writer said, and nothing has compared it with what lies there (az://).
    `file`: in a listing, what tells the file of which this is one of several names (file://): where two names have the same, they are the
    same bytes, and always will be. None elsewhere.
    `beside`: in a listing of two stores, what the second has under the same name: it is to be read where this one cannot be.
    """

    name: str
    size: int
    crc32c: int | None
    metadata: Mapping[str, str] | None
    claimed: bool = field(default=False, compare=False)
    file: tuple[int, int, int] | None = field(default=None, compare=False)
    beside: ObjectInfo | None = field(default=None, compare=False)


class Store(Protocol):
    """A bucket, or a folder of one. Objects are written once, never changed; names sort by their UTF-8 bytes.

    Any method may raise TransientStoreError (away, slow, full), StoreConfigurationError and BadNameError (before
    anything is sent). Every operation ends within a minute or so. Cancelling a call does not take back what was sent.
    """

    async def put(
        self, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> ObjectInfo:
        """Create the object, whole or not at all, and see to it that what lies there has the CRC32C of what was sent.

        Metadata that the backend cannot keep is left out: `metadata` of the answer, and of `head`, is then None.
        Raises AlreadyExistsError where the name is taken, whatever lies there; of several calls at once exactly one creates. A
        reply lost on the way is made good inside: one's own object is never reported as a conflict. Raises TooLargeError.
        """
        ...

    async def get(self, name: str) -> bytes:
        """All bytes, checked against the stored CRC32C. Raises NotFoundError, ChecksumError, TooLargeError."""
        ...

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        """Bytes start (included) to end (excluded); fewer where the object ends before, none beyond its end. Raises NotFoundError."""
        ...

    async def head(self, name: str) -> ObjectInfo:
        """Size, checksum and metadata. Raises NotFoundError."""
        ...

    def list(self, prefix: str, after: str = "") -> AsyncIterator[ObjectInfo]:
        """All objects whose name begins with `prefix` and sorts after the name `after`, in name order, fetched page by page."""
        ...

    def list_folders(self, prefix: str) -> AsyncIterator[str]:
        """Names up to and with the next slash after `prefix` (`chunks/u/` gives `chunks/u/c/`), each once, in name order."""
        ...

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """Copy inside the store, with content type and metadata. Raises NotFoundError (source), AlreadyExistsError (target)."""
        ...

    async def delete(self, name: str) -> None:
        """Remove the object; one that is not there is fine."""
        ...

    async def close(self) -> None:
        """Wait for what is under way and give back threads and connections. Nothing may be called afterwards."""
        ...


def lists_from_anywhere(store: Store) -> bool:
    """Whether a listing can begin behind any name for what one page costs, so that parts of a long one may be asked for side by side.

    Not so in a folder, and on Azure: there all names are looked at each time. A store says so with an attribute of this name.
    """
    return getattr(store, "lists_from_anywhere", False) is True


async def with_metadata(store: Store, infos: Sequence[ObjectInfo]) -> Sequence[ObjectInfo]:
    """What a listing gave, in its order, with metadata as far as the store tells it for many objects at once, for less than opening each (file://).

    Objects that are gone stay as they are. A store that can has a method of this name. StoreError.
    """
    ask = getattr(store, "with_metadata", None)
    if ask is None or not infos:
        return infos
    found: Sequence[ObjectInfo] = await ask(infos)
    return found


def check_name(name: str) -> str:
    """The name itself, if every backend can hold it, and below its root. Raises BadNameError."""
    if not name:
        raise BadNameError("an object's name is empty")
    _check_text("name", name)
    for segment in name.split("/"):
        _check_segment("name", name, segment)
    return name


def check_prefix(prefix: str) -> str:
    """The prefix itself, if a name can begin with it: empty, or cut off anywhere. Raises BadNameError."""
    if prefix:
        _check_text("prefix", prefix)
        *folders, _rest = prefix.split("/")
        for segment in folders:
            _check_segment("prefix", prefix, segment)
    return prefix


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """A copy of the metadata, if it is such that every backend gives back what it keeps. Raises BadNameError."""
    size = 0
    for key, value in metadata.items():
        if not _METADATA_KEY.fullmatch(key) or key in RESERVED_METADATA:
            raise BadNameError(
                f"metadata key {key[:100]!r} is reserved, or not lower-case letters and digits parted by hyphens"
            )
        if not _METADATA_VALUE.fullmatch(value):
            raise BadNameError(
                f"the value of metadata key {key[:100]!r} is empty, no printable ASCII, or has spaces that no header keeps"
            )
        size += len(key) + len(value)
    if size > MAX_METADATA_BYTES:
        raise BadNameError(
            f"{size} bytes of metadata are more than the {MAX_METADATA_BYTES} that an object can carry"
        )
    return dict(metadata)


def check_range(name: str, start: int, end: int) -> None:
    """Nothing, if start and end are a stretch of at least a byte and not too long. Raises BadNameError."""
    if not 0 <= start < end or end - start > MAX_OBJECT_BYTES:
        raise BadNameError(f"bytes {start} to {end} of {name} are no range of 1 to {MAX_OBJECT_BYTES} bytes")


def check_size(name: str, size: int) -> None:
    """Nothing, if an object of `size` bytes is one that stores put and get in one piece. Raises TooLargeError."""
    if size > MAX_OBJECT_BYTES:
        raise TooLargeError(
            f"{name} has {size} bytes; {MAX_OBJECT_BYTES} is the most that is moved in one piece: use ranges"
        )


def _check_text(kind: str, text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise BadNameError(f"the {kind} {text[:200]!r} is no UTF-8") from error
    if size > MAX_NAME_BYTES:
        raise BadNameError(f"the {kind} {text[:60]!r}… has {size} bytes; {MAX_NAME_BYTES} are allowed")
    if not text.isprintable() or "\\" in text:
        raise BadNameError(f"the {kind} {text[:200]!r} has a character that not every store can hold")


def _check_segment(kind: str, text: str, segment: str) -> None:
    if segment in {"", ".", ".."}:
        raise BadNameError(
            f"the {kind} {text[:200]!r} has the part {segment!r} between slashes: it could leave the store"
        )
    if segment.startswith(".tmp"):
        raise BadNameError(
            f"the {kind} {text[:200]!r} has a part beginning with .tmp: those are kept for files being written"
        )
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        raise BadNameError(
            f"the {kind} {text[:60]!r}… has a part of more than {MAX_SEGMENT_BYTES} bytes between slashes"
        )
