"""Which bytes of a buffer lie in the bucket already, because Redis forgot that they were stored.

A failover may bring back a Redis that never heard of the last `finish`, or of the cut before it; then the same audio would be cut
again, perhaps elsewhere, and lie in two objects. So before its first cut of a conversation since this process started, since
Redis' replication id changed, or since a bucket was away (somebody may have copied an export there by hand meanwhile), a worker asks here, and
goes on asking until it is where nothing lay when it asked: past everything, or in a stretch that no object reaches into. Where there are two
buckets both are asked, and none waits for the other: while the first is away and the second serves, the second alone is asked, and the first
is looked into before such a cut is put there; what a second one that is away has is looked for at home when it is moved there (`homecoming`).
"""

from collections import OrderedDict
from collections.abc import Container
from typing import Final

from audiobus.conversation import Conversation
from audiobus.cut import Stored
from audiostore.errors import StoreError
from audiostore.key_ring import KeySource
from pusher.bucket_search import Unsure, stored_between
from pusher.buckets import Buckets
from pusher.guarded_store import GuardedStore
from pusher.stored_ranges import merged

REMEMBERED: Final = 50_000
"""Conversations to remember the answer for; one that is forgotten costs a listing."""


class _Passed:
    """Of one bucket: conversation -> (replication id, a stretch of time between two objects when it was listed, unix ms).

    What this history of Redis brings there later does not count: it was settled with that.
    """

    def __init__(self) -> None:
        self._table: OrderedDict[Conversation, tuple[str, int, int]] = OrderedDict()

    def known(self, conversation: Conversation, replication_id: str, start_ms: int, end_ms: int) -> bool:
        free = self._table.get(conversation)
        if free is None or free[0] != replication_id:
            return False
        self._table.move_to_end(conversation)
        return free[1] < start_ms and end_ms < free[2]

    def note(self, conversation: Conversation, replication_id: str, passed_ms: int, next_ms: int) -> None:
        before = self._table.get(conversation)
        if (
            before is not None
            and before[0] == replication_id
            and max(passed_ms, before[1]) < min(next_ms, before[2])
        ):
            # They overlap: what reached into both would reach into one of them.
            passed_ms, next_ms = min(passed_ms, before[1]), max(next_ms, before[2])
        self._table[conversation] = (replication_id, passed_ms, next_ms)
        self._table.move_to_end(conversation)
        while len(self._table) > REMEMBERED:
            self._table.popitem(last=False)

    def clear(self) -> None:
        self._table.clear()


class AlreadyStored:
    """Looks into the buckets, as seldom as it can."""

    def __init__(self, buckets: Buckets, keys: KeySource) -> None:
        self._buckets = buckets
        self._keys = keys
        self._passed = {bucket: _Passed() for bucket in buckets.all}

    def known(self, conversation: Conversation, replication_id: str, start_ms: int, end_ms: int) -> bool:
        """Whether nothing of a cut of this time can lie in a bucket that can be asked."""
        known = {
            bucket: passed.known(conversation, replication_id, start_ms, end_ms)
            for bucket, passed in self._passed.items()
        }
        self._buckets.listed(conversation, first=known[self._buckets.first])
        return all(known[bucket] for bucket in self._buckets.to_ask(conversation))

    def forget(self, bucket: GuardedStore) -> None:
        """The bucket was away, or is: what it holds is to be seen anew."""
        self._passed[bucket].clear()

    async def between(
        self,
        conversation: Conversation,
        replication_id: str,
        start_ms: int,
        end_ms: int,
        *,
        without: Container[str] = (),
        unsure: Unsure | None = None,
    ) -> tuple[Stored, ...]:
        """The bytes of this conversation that objects of this time hold, those of the names `without` and `unsure` left out (`bucket_search`).

        Raises:
            StoreError: a bucket cannot be asked; nothing may be cut then.
            CannotTellError: nor without the key of an object of that time that only its content tells of.
        """
        ranges: list[Stored] = []
        for bucket in self._buckets.to_ask(conversation):
            try:
                ranges += await self._ask(
                    bucket, conversation, replication_id, start_ms, end_ms, without, unsure
                )
            except StoreError:
                if not self._buckets.can_go_on_without(bucket):
                    raise
                if bucket is self._buckets.first:
                    self._buckets.listed(conversation, first=False)
            else:
                if bucket is self._buckets.first:
                    self._buckets.listed(conversation, first=True)
        return merged(ranges)

    async def _ask(
        self,
        bucket: GuardedStore,
        conversation: Conversation,
        replication_id: str,
        start_ms: int,
        end_ms: int,
        without: Container[str],
        unsure: Unsure | None,
    ) -> tuple[Stored, ...]:
        found = await stored_between(
            bucket, self._keys.ring(), conversation, start_ms, end_ms, without=without, unsure=unsure
        )
        self._passed[bucket].note(conversation, replication_id, found.passed_ms, found.next_ms)
        return found.ranges
