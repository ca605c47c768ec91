"""What an object in the bucket says of itself: from its metadata, or from its first bytes where the backend keeps none.

Whether the rest of it is as it says, it does not look (`wholeness`). First bytes that say nothing of the kind may have been spoilt on their way: the
object is read again, the second time whole, as far as the store checks that.
"""

from typing import Final

from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore import sealing
from audiostore.batch import HEAD_BYTES, Batch, BatchFacts, batch_facts
from audiostore.errors import (
    BatchFormatError,
    ChecksumError,
    NotFoundError,
    TamperedError,
    TooLargeError,
    UnknownKeyError,
)
from audiostore.key_ring import KeyRing
from audiostore.names import BatchName, parse_name
from audiostore.sealed_batch import sealed_facts
from audiostore.store import ObjectInfo, Store
from pusher.errors import CannotTellError

RUNS: Final = "tapedeck-runs"
"""The metadata key that an object has which says of itself, without being opened, what it holds."""

READS: Final = 2
"""An object that came so often as what it should not be is that; one read may have been spoilt on its way."""


async def object_facts(store: Store, info: ObjectInfo, ring: KeyRing) -> BatchFacts | None:
    """Its facts; None where there is no such object any more, or one that is no batch of ours.

    Raises:
        CannotTellError: only a key that is missing could tell.
        StoreError: it could not be looked at.
    """
    try:
        if info.metadata and RUNS in info.metadata:
            return batch_facts(info.metadata)
        return await _says(store, info.name, ring)
    except (NotFoundError, BatchFormatError, CodecError, TamperedError):
        # An older format, or somebody else's file, or one that nobody can open any more: whatever it is, it does not hold runs that
        # could ever be played.
        return None


async def _says(store: Store, path: str, ring: KeyRing) -> BatchFacts:
    """What its first bytes say.

    Raises:
        BatchFormatError, CodecError, TamperedError: no batch of ours, as read twice.
        NotFoundError, CannotTellError, StoreError: see `object_facts`.
    """
    name = parse_name(path)
    sealed = name if name is not None and name.sealed else None
    size = sealing.HEAD_BYTES if sealed else HEAD_BYTES
    start = await store.get_range(path, 0, size)
    try:
        return _read(start, sealed, ring)
    except (BatchFormatError, CodecError, TamperedError):
        if (data := await _fetched(store, path)) is None:
            raise
    return _read(data[:size], sealed, ring)


async def _fetched(store: Store, path: str) -> bytes | None:
    """All of it; None where it is damaged, or larger than any of ours."""
    for _ in range(READS):
        try:
            return await store.get(path)
        except ChecksumError:
            continue
        except TooLargeError:
            break
    return None


def _read(start: bytes, sealed: BatchName | None, ring: KeyRing) -> BatchFacts:
    if sealed is None:
        return batch_facts(read_ogg_headers(start))
    try:
        return sealed_facts(start, ring, sealed)
    except UnknownKeyError as error:
        # Taken for other audio it might be stored twice, taken for the same it might be lost. So it waits.
        raise CannotTellError(
            f"an object of the same time is sealed with the key {error.key_id!r}, which is not in the key ring: nobody can tell whether "
            "it holds this audio, which stays where it is, in Redis or in the second bucket; put the key back"
        ) from error


def same_runs(facts: BatchFacts | Batch | None, batch: BatchFacts | Batch) -> bool:
    """Whether an object with these facts, or this content, holds exactly the runs of this batch."""
    if (
        facts is None
        or facts.conversation_id != batch.conversation_id
        or len(facts.spans) != len(batch.spans)
    ):
        return False
    return all(
        (one.epoch, one.first_offset, one.end_offset, one.start_48k, one.samples)
        == (other.epoch, other.first_offset, other.end_offset, other.start_48k, other.samples)
        for one, other in zip(facts.spans, batch.spans, strict=True)
    )
