"""Whose audio has the name of a cut that is about to be given up: what lies under a name that is given up is deleted, by everybody who looks.

Create-only puts let a cut's name be another recording's: of two that begin and end in the same millisecond, or a copy that a merge made. As long as that lies
there nobody can put the cut's own object beside it, so its name need not be given up.
"""

from collections.abc import Iterable

from audiobus.conversation import Conversation
from audiobus.cut import Cut
from audiobus.letters_cut import LettersCut
from audiostore.errors import NotFoundError
from audiostore.key_ring import KeyRing
from audiostore.store import Store
from pusher.object_facts import object_facts


async def own_name(
    buckets: Iterable[Store], ring: KeyRing, conversation: Conversation, cut: Cut | LettersCut
) -> str:
    """The cut's name, where nothing has it but what was made of the cut; empty where another's audio has it.

    Raises:
        StoreError: a bucket cannot be asked.
        CannotTellError: only a key that is missing could tell.
    """
    if not cut.name:
        return ""
    for bucket in buckets:
        try:
            facts = await object_facts(bucket, await bucket.head(cut.name), ring)
        except NotFoundError:
            continue
        if facts is None or facts.conversation_id != conversation.cid:
            return ""
        if not any(cut.reaches(span.epoch, span.first_offset, span.end_offset) for span in facts.spans):
            return ""
    return cut.name
