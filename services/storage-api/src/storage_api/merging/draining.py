"""What waits of the sources is stored before they are copied: asking for it, and waiting.

Pushers store; what is asked for is noted in Redis, so a lost hint only delays it.
"""

import asyncio
from typing import Final

from audiobus import Conversation, EntryId
from audiobus.asking import ask_together
from audiobus.errors import BusError
from audiobus.letters_cut import standing
from storage_api.operations.turn import FailedError
from storage_api.services import Services

REASON: Final = "merge"
TURN_S: Final = 10.0
"""So long a turn waits."""
FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.5
PAGE: Final = 64
"""Entries that are looked at together."""


def letters(source: Conversation) -> FailedError:
    """Why a source with dead letters cannot go."""
    detail = f"{source.cid} has dead letters, which lie in no bucket: have them stored, or drop them, and ask again"
    return FailedError("dead_letters", detail)


class Draining:
    """Waits for the buffers of sources to be stored."""

    def __init__(self, services: Services, *, letters_matter: bool) -> None:
        """`letters_matter`: the sources go away, and their dead letters would go with them."""
        self._services = services
        self._bus = services.bus
        self._letters_matter = letters_matter

    async def ask(self, sources: list[Conversation], now_ms: int) -> bool:
        """Asks for what waits up to now, and waits a while; whether all of it is stored.

        Raises:
            FailedError: dead letters are in the way.
            BusUnavailableError: Redis does not answer.
        """
        states = [await self._bus.state(source) for source in sources]
        for asked in await ask_together(self._bus, sources, REASON, now_ms):
            if isinstance(asked, BusError):
                raise asked
        waiting = list(zip(sources, [state.newest for state in states], strict=True))
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + TURN_S, FIRST_PAUSE_S
        while True:
            waiting = [one for one in waiting if not await self._stored(*one)]
            if not waiting:
                return True
            if loop.time() >= until:
                return False
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, pause * 1.5)

    async def _stored(self, source: Conversation, newest: EntryId | None) -> bool:
        if self._letters_matter and await self._bus.command("EXISTS", self._bus.keys.dead(source)):
            raise letters(source)
        after: EntryId | None = None
        while newest is not None:
            entries = await self._bus.read(source, count=PAGE, after=after, last=newest)
            if any(entry.chunk is not None for entry in entries):
                return False
            if len(entries) < PAGE:
                break
            after = entries[-1].id
        if not self._letters_matter:
            return True
        # A cut over openings alone, or dead letters that are being stored.
        state = await self._bus.state(source)
        return state.cut is None and await standing(self._bus, source) is None
