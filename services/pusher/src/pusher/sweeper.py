"""The sweep of the bucket: what lies there of a deleted conversation, and objects that must not stay.

Owns how long it goes on. A put that is on its way when something is deleted can land after the last look of whoever made it, if that process dies
in between; so the sweep comes back until no put can be under way any more. Every bucket is swept, and one that fails hinders no other.
"""

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.deletions import emptied, gone, names_gone
from audiobus.errors import BadEntryError
from audiobus.named_cuts import named_by_cuts
from audiostore.errors import AudiostoreError
from audiostore.names import conversation_prefix
from audiostore.store import Store
from audiostore.waveform_names import conversation_waveforms
from pusher.books import Books
from pusher.derived import delete_derived
from pusher.guarded_store import is_away
from pusher.swept_names import SweptNames
from pusher.together import together

log = logging.getLogger(__name__)

UNTIL_MS: Final = 600_000
"""So long after it was deleted nothing of it can be on its way any more: every put ends within its deadline."""
SOON_MS: Final = 15_000
AGAIN_MS: Final = 60_000
"""How soon it is swept again: in the first minute, when a put may be under way, and afterwards."""
AT_ONCE: Final = 8
"""Objects deleted at the same time."""


def next_sweep_ms(since_ms: int, now_ms: int) -> int | None:
    """When what was deleted then is swept again, unix ms; None where that is over. Pure."""
    age_ms = now_ms - since_ms
    if age_ms >= UNTIL_MS:
        return None
    pause_ms = SOON_MS if age_ms < AGAIN_MS else AGAIN_MS
    return now_ms + min(pause_ms, UNTIL_MS - age_ms) if age_ms >= 0 else now_ms + AGAIN_MS


@dataclass(slots=True)
class Sweeper:
    """Sweeps for any conversation."""

    bus: Bus
    books: Books
    _later: dict[Store, int] = field(default_factory=dict)
    """Stores that failed to delete a name, and from when on they are asked to again, unix ms."""
    _swept: SweptNames = field(default_factory=lambda: SweptNames(AGAIN_MS))

    async def sweep(
        self,
        stores: Sequence[Store],
        conversation: Conversation,
        since_ms: int,
        now_ms: int,
        *,
        left_out: Sequence[Store] = (),
    ) -> int | None:
        """Deletes all that lies in the buckets of a conversation under a tombstone; when to come again, unix ms, None where it is over.

        `left_out`: buckets that may not be asked now. It is not over before they could be, and what they may hold is not counted as deleted.

        Raises:
            StoreError: a bucket could not be swept. Come again; the others are.
        """
        prefix = conversation_prefix(conversation.uid, conversation.cid)
        waveforms = conversation_waveforms(conversation.uid, conversation.cid)
        failed: list[AudiostoreError] = []
        for store in stores:
            try:
                count = await _delete_all(store, prefix)
                # After the audio: whoever keeps one puts it, and then looks whether its audio is still there.
                count += await _delete_all(store, waveforms)
            except AudiostoreError as error:
                failed.append(error)
            else:
                if count:
                    log.info("deleted what lay in a bucket", extra={"objects": count})
        if failed:
            raise failed[0]
        again_ms = next_sweep_ms(since_ms, now_ms)
        if left_out:
            return now_ms + AGAIN_MS if again_ms is None else again_ms
        self.books.deleted(await emptied(self.bus, conversation))
        return again_ms

    async def sweep_names(self, stores: Sequence[Store], conversation: Conversation, now_ms: int) -> None:
        """Deletes the objects that must not be there, as long as somebody may still put them; none of them again at once.

        The audio of this conversation that is not deleted waits for that, so a bucket that is away is not asked, and one that fails not again for a
        while: the names stay noted. So do they beside a cut that this build cannot read: one of them may be its.

        Raises:
            NotReplicatedError: only this server knows the names, which may be a former master.
        """
        noted = await gone(self.bus, conversation, confirmed=True)
        names = {name: at_ms for name, at_ms in noted.items() if at_ms}
        over = {name: at_ms for name, at_ms in names.items() if next_sweep_ms(at_ms, now_ms) is None}
        if over:
            # Whoever carries out the cut will put it once more, however late. Asked before the objects are deleted: without the cut no put of
            # that name is followed by a `finish`, and whoever makes it looks at the names (`store_put`).
            try:
                for name in await named_by_cuts(self.bus, conversation):
                    over.pop(name, None)
            except BadEntryError:
                over.clear()
        asked = [one for one in stores if not is_away(one) and not self._is_early(one, now_ms)]
        clean = len(asked) == len(stores)
        # What is over counts as seen to once it is deleted everywhere after the cuts were asked for, however short ago that was done before.
        wanted = [
            name
            for name, at_ms in names.items()
            if (clean and name in over) or any(self._swept.is_due(one, name, at_ms, now_ms) for one in asked)
        ]
        for store in asked:
            try:
                for some in _one_then_more(wanted):
                    await together(*(self._delete(store, name, names[name], now_ms) for name in some))
            except AudiostoreError as error:
                clean = False
                self._later[store] = now_ms + AGAIN_MS
                log.warning(
                    "a deleted object may lie in a bucket: tried again",
                    extra={"error": type(error).__name__},
                )
        if clean:
            await names_gone(self.bus, conversation, over, now_ms)
            for store in stores:
                for name in over:
                    self._swept.forget(store, name)

    async def _delete(self, store: Store, name: str, since_ms: int, now_ms: int) -> None:
        await store.delete(name)
        # After the audio, as in `sweep`.
        await delete_derived(name, store)
        again_ms = next_sweep_ms(since_ms, now_ms)
        # Over, and yet not seen to: a cut speaks of it, or another bucket is away.
        self._swept.note(store, name, since_ms, now_ms + AGAIN_MS if again_ms is None else again_ms)

    def _is_early(self, store: Store, now_ms: int) -> bool:
        # Farther ahead than it can be: the clock was put back.
        return 0 < self._later.get(store, 0) - now_ms <= AGAIN_MS


async def _delete_all(store: Store, prefix: str) -> int:
    """Deletes every object of that prefix; how many there were."""
    count = 0
    async for names in _in_groups(store, prefix):
        await together(*(store.delete(name) for name in names))
        count += len(names)
    return count


def _one_then_more(names: list[str]) -> Iterator[list[str]]:
    """The first alone: a bucket that is away is asked once. Then groups."""
    if names:
        yield names[:1]
    for start in range(1, len(names), AT_ONCE):
        yield names[start : start + AT_ONCE]


async def _in_groups(store: Store, prefix: str) -> AsyncIterator[list[str]]:
    names: list[str] = []
    async for info in store.list(prefix):
        names.append(info.name)
        if len(names) == AT_ONCE:
            yield names
            names = []
    if names:
        yield names
