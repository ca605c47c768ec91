"""Whose audio has the name of a cut that is about to be given up: what lies under a name that is given up is deleted, by everybody who looks.

Create-only puts let a cut's name be another recording's: of two that begin and end in the same millisecond, or a copy that a merge made. As long as that lies
there nobody can put the cut's own object beside it, so its name need not be given up.
"""

from contextlib import suppress

from audiobus import Conversation
from audiobus.cut import Cut
from audiobus.letters_cut import LettersCut
from audiostore.batch import BatchFacts
from audiostore.errors import NotFoundError, TransientStoreError
from audiostore.legacy import parse_audio_name
from audiostore.paired_store import PairedStore
from storage_api.bucket import Bucket
from storage_api.errors import UnreadableError
from storage_api.reading import facts_in_metadata
from storage_api.stored_object import StoredObject


async def own_name(bucket: Bucket, conversation: Conversation, cut: Cut | LettersCut) -> str:
    """The cut's name, where nothing has it but what was made of the cut; empty where another's audio has it.

    Raises:
        StoreError: nobody can tell.
    """
    name = parse_audio_name(cut.name)
    if name is None:
        return cut.name
    listed = [(name, info) async for info in bucket.store.list(cut.name) if info.name == cut.name]
    for one in (await bucket.with_facts(listed)).objects:
        facts = one.verdict.facts
        if facts is None and one.reason in ("damaged", "not_a_batch"):
            # It may be what was just put for the cut, and stored as something else: what was put with it tells.
            facts = await _told(bucket, one)
        if facts is None and one.reason == "no_key":
            raise TransientStoreError(
                "an object has the name of what waits, and only a key that is missing could tell whose it is"
            )
        if not isinstance(facts, BatchFacts) or facts.conversation_id != conversation.cid:
            return ""
        if not any(cut.reaches(span.epoch, span.first_offset, span.end_offset) for span in facts.spans):
            return ""
    return cut.name


async def _told(bucket: Bucket, stored: StoredObject) -> BatchFacts | None:
    """What the metadata of an object say that cannot be read, which a listing need not know. StoreError."""
    store = bucket.store
    if stored.second and isinstance(store, PairedStore):
        store = store.second
    with suppress(NotFoundError, UnreadableError):
        return facts_in_metadata(stored.name, (await store.head(stored.info.name)).metadata)
    return None
