"""Which bytes of a buffer lie in the bucket already, because Redis forgot that they were stored.

A failover may bring back a Redis that never heard of the last `finish`, or of the cut before it; then the same audio would be cut
again, perhaps elsewhere, and lie in two objects. So before its first cut of a conversation since this process started, or since
Redis' replication id changed, a worker asks here, and goes on asking until it has passed everything that lies there.
"""

from collections import OrderedDict
from typing import Final

from audiobus.conversation import Conversation
from audiobus.cut import Stored
from audiostore.key_ring import KeySource
from audiostore.names import conversation_prefix, parse_name, timestamp
from audiostore.store import Store
from pusher.object_facts import object_facts
from pusher.stored_ranges import merged

LONGEST_OBJECT_MS: Final = 150_000
"""No object of ours lasts longer (audiostore refuses to write it), so none that began before this can reach into a cut."""
REMEMBERED: Final = 50_000
"""Conversations to remember the answer for; one that is forgotten costs a listing."""


class AlreadyStored:
    """Looks into the bucket, as seldom as it can."""

    def __init__(self, store: Store, keys: KeySource) -> None:
        self._store = store
        self._keys = keys
        # Conversation -> (replication id, end of the last object that was there when it was first listed, unix ms).
        self._passed: OrderedDict[Conversation, tuple[str, int]] = OrderedDict()

    def known(self, conversation: Conversation, replication_id: str, start_ms: int) -> bool:
        """Whether nothing of a cut that starts at `start_ms` can lie in the bucket."""
        passed = self._passed.get(conversation)
        if passed is None or passed[0] != replication_id:
            return False
        self._passed.move_to_end(conversation)
        return start_ms > passed[1]

    async def between(
        self, conversation: Conversation, replication_id: str, start_ms: int, end_ms: int
    ) -> tuple[Stored, ...]:
        """The bytes of this conversation that objects of this time hold.

        Raises:
            StoreError: the bucket cannot be asked; nothing may be cut then.
            CannotTellError: nor without the key of an object of that time that only its content tells of.
        """
        prefix = conversation_prefix(conversation.uid, conversation.cid)
        found: list[Stored] = []
        last_ms = -1
        after = f"{prefix}{timestamp(max(0, start_ms - LONGEST_OBJECT_MS))}"
        async for info in self._store.list(prefix, after=after):
            name = parse_name(info.name)
            if name is None:
                continue
            last_ms = max(last_ms, name.end_ms)
            if name.start_ms > end_ms or name.end_ms < start_ms:
                continue
            facts = await object_facts(self._store, info, self._keys.ring())
            if facts is not None and facts.conversation_id == conversation.cid:
                found += [Stored(span.epoch, span.first_offset, span.end_offset) for span in facts.spans]
        before = self._passed.get(conversation)
        if before is not None and before[0] == replication_id:
            last_ms = min(last_ms, before[1])
        self._passed[conversation] = (replication_id, last_ms)
        self._passed.move_to_end(conversation)
        while len(self._passed) > REMEMBERED:
            self._passed.popitem(last=False)
        return merged(found)
