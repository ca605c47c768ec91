"""Word of merges, for all sockets of a process that send nothing: one command to Redis, however many there are.

While none asks, Redis is not asked. A word says only where to look; what it comes to is asked of the conversation itself (`merging.goes_into`).
"""

import asyncio
import logging
from typing import Final

from audiobus import Bus, Conversation, EntryId
from audiobus.errors import BusError, BusUnavailableError
from audiobus.frozen import PAGE, told_frozen

log = logging.getLogger(__name__)

LOOK_S: Final = 4.0
"""With `merge_watch.LOOK_MS`, which comes on top, it leaves a second of the ten within which a silent socket is closed."""
OVERLAP_MS: Final = 60_000
"""What is read again before the newest word: another Redis after a failover may have another clock, and numbers its words by that."""
FRESH_LOOKS: Final = 15
"""For so many looks that went well a word that came is told: every socket asks several times by then. While Redis is away no word grows old,
for what a socket asks comes to nothing."""


class MergeNews:
    """What was said, as far as it matters to sockets that are open."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._asked = False
        """Somebody asked since the last look."""
        self._newest = EntryId(0, 0)
        self._looks = 0
        """That went well."""
        self._told: dict[EntryId, tuple[str, int]] = {}
        """Words that are read again and those that are fresh: whose, and with which look each came first."""
        self._fresh: frozenset[str] = frozenset()
        """Tags of conversations."""

    def tells_of(self, conversation: Conversation) -> bool:
        """Whether there is word of it. A question: the next look is for its sake, too."""
        self._asked = True
        return conversation.tag in self._fresh

    async def run(self) -> None:
        """Looks, for ever: a task of the service."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._asked:
                continue
            try:
                await self.look()
            except BusUnavailableError:
                pass  # that it is away is said elsewhere; the next look asks for the same
            except BusError as error:
                log.warning("not known what is being merged", extra={"error": str(error)})
            except Exception:
                # A defect. It must not end the sockets of this process: they have a task group in common.
                log.critical("looking for what is being merged broke", exc_info=True)

    async def look(self) -> None:
        """Looks once: one command where few merges began since the last time.

        Raises:
            BusError: what was heard stays, and stays fresh.
        """
        since = EntryId(max(0, self._newest.epoch - OVERLAP_MS), 0)
        while True:
            words = await told_frozen(self._bus, since)
            for word in words:
                self._told.setdefault(word.id, (word.tag, self._looks + 1))
                self._newest = max(self._newest, word.id)
            if len(words) < PAGE:
                break
            since = words[-1].id.next()
        self._asked = False
        self._looks += 1
        read_again_ms = self._newest.epoch - OVERLAP_MS
        self._told = {
            word: (tag, look)
            for word, (tag, look) in self._told.items()
            if word.epoch >= read_again_ms or self._looks < look + FRESH_LOOKS
        }
        self._fresh = frozenset(tag for tag, look in self._told.values() if self._looks < look + FRESH_LOOKS)
