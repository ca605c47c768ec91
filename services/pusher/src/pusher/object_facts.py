"""What an object in the bucket says of itself: from its metadata, or from its first bytes where the backend keeps none.

Whether the rest of it is as it says, it does not look (`wholeness`).
"""

from typing import Final

from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore import sealing
from audiostore.batch import HEAD_BYTES, Batch, BatchFacts, batch_facts
from audiostore.errors import BatchFormatError, NotFoundError, TamperedError, UnknownKeyError
from audiostore.key_ring import KeyRing
from audiostore.names import BatchName, parse_name
from audiostore.sealed_batch import sealed_facts
from audiostore.store import ObjectInfo, Store
from pusher.errors import CannotTellError

RUNS: Final = "tapedeck-runs"
"""The metadata key that an object has which says of itself, without being opened, what it holds."""


async def object_facts(store: Store, info: ObjectInfo, ring: KeyRing) -> BatchFacts | None:
    """Its facts; None where there is no such object any more, or one that is no batch of ours.

    Raises:
        CannotTellError: only a key that is missing could tell.
        StoreError: it could not be looked at.
    """
    try:
        if info.metadata and RUNS in info.metadata:
            return batch_facts(info.metadata)
        name = parse_name(info.name)
        if name is not None and name.sealed:
            return await _opened(store, name, ring)
        return batch_facts(read_ogg_headers(await store.get_range(info.name, 0, HEAD_BYTES)))
    except (NotFoundError, BatchFormatError, CodecError, TamperedError):
        # An older format, or somebody else's file, or one that nobody can open any more: whatever it is, it does not hold runs that
        # could ever be played.
        return None


async def _opened(store: Store, name: BatchName, ring: KeyRing) -> BatchFacts:
    try:
        return sealed_facts(await store.get_range(name.path, 0, sealing.HEAD_BYTES), ring, name)
    except UnknownKeyError as error:
        # Taken for other audio it might be stored twice, taken for the same it might be lost. So it waits.
        raise CannotTellError(
            f"an object of the same time is sealed with the key {error.key_id!r}, which is not in the key ring: nobody can tell whether "
            "it holds this audio, which waits in Redis; put the key back"
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
