"""What an object in the bucket says of itself: from its metadata, or from its first bytes where the backend keeps none."""

from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore.batch import HEAD_BYTES, Batch, BatchFacts, batch_facts
from audiostore.errors import BatchFormatError, NotFoundError
from audiostore.store import ObjectInfo, Store


async def object_facts(store: Store, info: ObjectInfo) -> BatchFacts | None:
    """Its facts; None where there is no such object any more, or one that is no batch of ours.

    Raises:
        StoreError: it could not be looked at.
    """
    try:
        if info.metadata and "tapedeck-runs" in info.metadata:
            return batch_facts(info.metadata)
        return batch_facts(read_ogg_headers(await store.get_range(info.name, 0, HEAD_BYTES)))
    except (NotFoundError, BatchFormatError, CodecError):
        # An older format, or somebody else's file: whatever it is, it does not hold runs that we could name.
        return None


def same_runs(facts: BatchFacts | None, batch: Batch) -> bool:
    """Whether an object with these facts holds exactly the runs of this batch."""
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
