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

LOOK_S: Final = 5.0
OVERLAP_MS: Final = 60_000
"""What is read again before the newest word: another Redis after a failover may have another clock, and numbers its words by that."""
FRESH_S: Final = 60.0
"""So long a word that came is told: every socket asks several times by then."""


class MergeNews:
    """What was said, as far as it matters to sockets that are open."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._asked = False
        """Somebody asked since the last look."""
        self._newest = EntryId(0, 0)
        self._told: dict[EntryId, tuple[str, float]] = {}
        """Words that are read again and those that are fresh: whose, and when each came first, by the loop's clock."""
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
            now_s = asyncio.get_running_loop().time()
            for word in words:
                self._told.setdefault(word.id, (word.tag, now_s))
                self._newest = max(self._newest, word.id)
            if len(words) < PAGE:
                break
            since = words[-1].id.next()
        self._asked = False
        read_again_ms = self._newest.epoch - OVERLAP_MS
        self._told = {
            word: (tag, at_s)
            for word, (tag, at_s) in self._told.items()
            if word.epoch >= read_again_ms or now_s < at_s + FRESH_S
        }
        self._fresh = frozenset(tag for tag, at_s in self._told.values() if now_s < at_s + FRESH_S)
