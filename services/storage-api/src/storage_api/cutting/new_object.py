"""An object that takes the place of another: its bytes, and the names that it may have. Pure; sealing takes a moment: for a thread.

What was sealed stays sealed, with the ring's first key (or, of an older format, the secret that it was sealed with), and everything about it anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from audiocodec.span import Span
from audiostore import sealing
from audiostore.batch import Batch, batch_end_ms, batch_file, batch_start_ms
from audiostore.key_ring import KeyRing
from audiostore.legacy import write_pcm
from audiostore.names import CONTENT_TYPE, BatchName
from audiostore.sealed_batch import seal_batch
from audiostore.store import ObjectInfo
from storage_api.cutting.rest import OlderPiece

OLDER_CONTENT_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class NewObject:
    """What is to be put."""

    name: BatchName
    """The first of the names that it may have: where one is taken, the next ends a millisecond later."""
    data: bytes
    content_type: str
    metadata: Mapping[str, str]
    spans: tuple[Span, ...] = ()
    """What it holds, where it is a batch of ours."""

    @property
    def mark(self) -> str:
        """What tells it from others that may come to have its name."""
        return f"{_crc32c(self.data)}:{len(self.data)}:{_crc32c_of(self.metadata)}"


def is_marked(mark: str, info: ObjectInfo) -> bool:
    """Whether what lies there, as `head` tells, is what was put with that mark, be it damaged: it has the metadata then that only that has."""
    crc32c, size, *rest = mark.split(":")
    if info.metadata and rest:
        return rest[0] == str(_crc32c_of(info.metadata))
    return size == str(info.size) and info.crc32c in (None, int(crc32c))


def _crc32c_of(metadata: Mapping[str, str]) -> int:
    return _crc32c(repr(sorted(metadata.items())).encode())


def _crc32c(data: bytes) -> int:
    import google_crc32c  # noqa: PLC0415 - Google is imported only where it is used

    found: int = google_crc32c.value(data)
    return found


def of_batch(uid: str, folder: str, batch: Batch, ring: KeyRing | None) -> NewObject:
    """The object of a batch below `chunks/{uid}/{folder}/`, sealed with the ring where one is given.

    Raises:
        BatchFormatError: no file can be made of it.
        KeyRingError: the ring is empty.
    """
    file = batch_file(batch)
    name = BatchName(uid, folder, batch_start_ms(batch), batch_end_ms(batch), sealed=ring is not None)
    if ring is None:
        return NewObject(name, file.data, CONTENT_TYPE, file.metadata, batch.spans)
    sealed = seal_batch(file, ring, uid)
    return NewObject(name, sealed.data, sealing.CONTENT_TYPE, sealed.metadata, batch.spans)


def of_older(uid: str, folder: str, piece: OlderPiece, *, sealed: bool, secret: str) -> NewObject:
    """The object of older audio: PCM as it is heard, in the format of an older batch."""
    name = BatchName(uid, folder, piece.start_ms, piece.end_ms, sealed=sealed)
    data = write_pcm(piece.pcm, sealed=sealed, secret=secret, uid=uid)
    return NewObject(name, data, OLDER_CONTENT_TYPE, {})
