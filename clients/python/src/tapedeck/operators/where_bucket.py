"""What a bucket holds of a conversation, as pieces of its time: by the facts of each object, or where those cannot be read by its name.

Older objects have no facts: `where_older` looks into them.
"""

import asyncio
from typing import Final

from audiobus import Conversation
from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore import sealing
from audiostore.batch import HEAD_BYTES, BatchFacts, batch_facts
from audiostore.errors import BatchFormatError, NotFoundError, SealError
from audiostore.key_ring import KeyRing
from audiostore.legacy import AudioName, is_ours, parse_audio_name
from audiostore.names import conversation_prefix
from audiostore.sealed_batch import sealed_facts
from audiostore.store import ObjectInfo, Store
from tapedeck.operators.bucket_access import opened
from tapedeck.operators.keys import KeysAtHand
from tapedeck.operators.where_older import older_piece
from tapedeck.operators.whereabouts import Piece

AT_ONCE: Final = 32
"""Objects looked at at the same time."""
READ_AT_ONCE: Final = 4
"""Those of them that are read whole: 64 MiB each at the most."""


async def stored(bucket: str, url: str, conversation: Conversation, keys: KeysAtHand) -> list[Piece]:
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
                pieces += await _look_at(bucket, store, page, conversation, keys)
                page = []
        return pieces + await _look_at(bucket, store, page, conversation, keys)
    finally:
        await store.close()


async def _look_at(
    bucket: str,
    store: Store,
    page: list[tuple[AudioName, ObjectInfo]],
    conversation: Conversation,
    keys: KeysAtHand,
) -> list[Piece]:
    reading = asyncio.Semaphore(READ_AT_ONCE)

    async def pieces(name: AudioName, info: ObjectInfo) -> list[Piece]:
        try:
            facts, head = await _facts(store, name, info, keys.ring)
            if facts is None:
                async with reading:
                    return [await older_piece(bucket, store, name, info, head, keys.legacy_secret)]
        except NotFoundError:
            return []
        if isinstance(facts, BatchFacts):
            return _spans(bucket, info, facts, conversation)
        end_ms = name.start_ms if name.last_ms is None else name.last_ms
        endless = name.last_ms is None
        return [Piece(name.start_ms, end_ms, "stored", facts, info.name, bucket, endless=endless)]

    found = await asyncio.gather(*(pieces(name, info) for name, info in page))
    return [piece for some in found for piece in some]


def _spans(bucket: str, info: ObjectInfo, facts: BatchFacts, conversation: Conversation) -> list[Piece]:
    other = facts.conversation_id != conversation.cid
    why = f"recorded into {facts.conversation_id}" if other else ""
    return [
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


async def _facts(
    store: Store, name: AudioName, info: ObjectInfo, ring: KeyRing
) -> tuple[BatchFacts | str | None, bytes]:
    """What the object holds, or why only its name tells; None where it is an older one, with its first bytes. NotFoundError; StoreError."""
    if not name.is_batch:
        return None, b""
    head = b""
    try:
        if info.metadata and "tapedeck-runs" in info.metadata:
            return batch_facts(info.metadata), head
        head = await store.get_range(info.name, 0, sealing.HEAD_BYTES if name.sealed else HEAD_BYTES)
        if not is_ours(name, head):
            return None, head
        return sealed_facts(head, ring, name) if name.sealed else batch_facts(read_ogg_headers(head)), head
    except (SealError, BatchFormatError, CodecError) as error:
        return f"only its name tells: {error}", head
