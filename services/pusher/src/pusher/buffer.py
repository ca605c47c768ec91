"""A conversation's buffer, read and decoded. What can never be stored goes to the dead letters on the way.

Owns reading in pages, by number and by bytes, so that memory stays bounded however much waits. It decides nothing about batches.
"""

import logging
from collections.abc import Callable, Sequence

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.entry import Entry
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError
from audiobus.state import ConversationState
from audiobus.turn import PAGE_BYTES
from pusher.arrived import Arrived, read_entry

log = logging.getLogger(__name__)

PAGE = 96
"""Most entries in one read: a minute of audio in chunks of a second, and some. Fewer where they are large (`PAGE_BYTES`)."""
FIRST_PAGE = 16
"""Where nothing is known of how large they are."""


class Buffer:
    """One look at the buffer, from the first entry on."""

    def __init__(
        self,
        bus: Bus,
        conversation: Conversation,
        state: ConversationState,
        page: Sequence[Entry] | None = None,
    ) -> None:
        """`page`: its first entries, where they were read with the state: PAGE, or as many as have PAGE_BYTES (`turn.take`)."""
        self._bus = bus
        self._conversation = conversation
        self._settled = state.settled
        self._page = page
        self._count = FIRST_PAGE if page is None else PAGE
        """Entries in the next page."""
        self._reached: EntryId | None = None
        self.arrived: list[Arrived] = []
        """What was read so far, in order, without what was buried."""
        self.entries: list[Entry] = []
        """The same, as they lie in Redis."""
        self.more = True
        """Whether the buffer may have entries after these."""

    async def read_page(
        self, now_ms: int, *, last: EntryId | None = None, on_buried: Callable[[], None] | None = None
    ) -> bool:
        """Reads on. False where a cut came between, so that nothing could be buried: look at the state again.

        Args:
            now_ms: unix ms.
            last: read up to and with this entry; then nothing may be buried, because a cut stands over it.
            on_buried: called for each entry that was buried.

        Raises:
            BadEntryError: an entry up to `last` does not parse in this build.
        """
        page, self._page = self._page, None
        if page is None or last is not None:
            page = await self._bus.read(self._conversation, count=self._count, after=self._reached, last=last)
        sizes = [entry.size_bytes for entry in page]
        self.more = len(page) == self._count or sum(sizes) >= PAGE_BYTES
        # As many as have PAGE_BYTES, were all as large as the largest of these.
        self._count = max(1, min(PAGE, PAGE_BYTES // max([1, *sizes])))
        for entry in page:
            try:
                arrived = read_entry(self._conversation.cid, entry)
            except BadEntryError as error:
                if last is not None:
                    raise
                if not await self.bury(entry, str(error), now_ms):
                    return False
                if on_buried:
                    on_buried()
                self._reached = entry.id
                continue
            self.arrived.append(arrived)
            self.entries.append(entry)
            self._reached = entry.id
        return True

    async def bury(self, entry: Entry, reason: str, now_ms: int) -> bool:
        """Moves the entry to the dead letters; False if a cut stands over it, or it is gone."""
        before = self._before(entry.id)
        buried = await self._bus.bury(
            self._conversation,
            entry,
            reason=reason,
            first_offset=before.offset if before and before.epoch == entry.id.epoch else 0,
            samples=entry.counted_samples,
            now_ms=now_ms,
        )
        if buried:
            log.error(
                "an entry cannot be stored: moved to the dead letters",
                extra={"conversation_id": self._conversation.cid, "entry": str(entry.id), "reason": reason},
            )
        return buried

    def _before(self, entry_id: EntryId) -> EntryId | None:
        """The id that the entry was appended onto, as far as that is known here."""
        ids = [*(one.id for one in self.arrived), *(one for one in (self._settled, self._reached) if one)]
        return max((one for one in ids if one < entry_id), default=None)
