"""What a bucket holds of a conversation, as pieces of its time: by the facts of each object, or where those cannot be read by its name."""

import asyncio
from typing import Final

from audiobus import Conversation
from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore import sealing
from audiostore.batch import HEAD_BYTES, BatchFacts, batch_facts
from audiostore.errors import BatchFormatError, NotFoundError, SealError
from audiostore.key_ring import KeyRing
from audiostore.legacy import AudioName, parse_audio_name, samples_by_size
from audiostore.names import conversation_prefix
from audiostore.sealed_batch import sealed_facts
from audiostore.store import ObjectInfo, Store
from tapedeck.operators.bucket_access import opened
from tapedeck.operators.whereabouts import Piece

AT_ONCE: Final = 32
"""Objects looked at at the same time."""


async def stored(bucket: str, url: str, conversation: Conversation, ring: KeyRing) -> list[Piece]:
    """The pieces of all its objects.

    Raises:
        StoreError: the bucket cannot be read.
    """
    store = await opened(url)
    try:
        pieces: list[Piece] = []
        page: list[tuple[AudioName, ObjectInfo]] = []
        async for info in store.list(conversation_prefix(conversation.uid, conversation.cid)):
            name = parse_audio_name(info.name)
            if name is not None:
                page.append((name, info))
            if len(page) == AT_ONCE:
                pieces += await _look_at(bucket, store, page, conversation, ring)
                page = []
        return pieces + await _look_at(bucket, store, page, conversation, ring)
    finally:
        await store.close()


async def _look_at(
    bucket: str,
    store: Store,
    page: list[tuple[AudioName, ObjectInfo]],
    conversation: Conversation,
    ring: KeyRing,
) -> list[Piece]:
    found = await asyncio.gather(*(_facts(store, name, info, ring) for name, info in page))
    pieces: list[Piece] = []
    for (name, info), facts in zip(page, found, strict=True):
        if isinstance(facts, BatchFacts):
            other = facts.conversation_id != conversation.cid
            why = f"recorded into {facts.conversation_id}" if other else ""
            pieces += [
                Piece(
                    span.start_ms,
                    span.end_ms,
                    "stored",
                    why,
                    info.name,
                    bucket,
                    span.epoch,
                    span.first_offset,
                    span.end_offset,
                )
                for span in facts.spans
            ]
        elif facts is not None:
            samples = samples_by_size(name, info.size) if not name.last_ms else None
            end_ms = name.last_ms or name.start_ms + (samples or 0) // 16
            pieces.append(Piece(name.start_ms, end_ms, "stored", facts, info.name, bucket))
    return pieces


async def _facts(store: Store, name: AudioName, info: ObjectInfo, ring: KeyRing) -> BatchFacts | str | None:
    """What the object holds; a word where only its name tells; None where it is gone."""
    if not name.is_batch:
        return "an older format"
    try:
        if info.metadata and "tapedeck-runs" in info.metadata:
            return batch_facts(info.metadata)
        if name.sealed:
            return sealed_facts(await store.get_range(info.name, 0, sealing.HEAD_BYTES), ring, name)
        return batch_facts(read_ogg_headers(await store.get_range(info.name, 0, HEAD_BYTES)))
    except NotFoundError:
        return None
    except (SealError, BatchFormatError, CodecError) as error:
        return f"only its name tells: {error}"
