"""How many dead letters there are, shown by one pusher: the one that counts the audio (`census`).

The others show 0, so that the sum over all pushers and the largest of them are both right; what nobody could count yet is NaN. Owns how often
they are counted: all keys are gone through for it.
"""

import asyncio
import math
from dataclasses import dataclass, field
from typing import Final

from audiobus.bus import Bus
from audiobus.errors import BusUnavailableError
from audiobus.servers import servers
from pusher.census import Period
from pusher.metrics import DeadLetters
from pusher.unstored import Unstored

COUNT_S: Final = (5.0, 600.0)
"""As often as the first, as seldom as the second."""
KEYS_A_LOOK: Final = 50
"""So many keys are gone through in the time of one look at a conversation."""


@dataclass(slots=True)
class LetterCount:
    """The count, and when it is taken again."""

    bus: Bus
    unstored: Unstored
    """Knows whether this pusher counts for all."""
    gauge: DeadLetters
    """Of the process: its `value` is shown. Whoever buries a letter or stores one changes it at once."""
    _period: Period = field(default_factory=lambda: Period(*COUNT_S))

    async def tell(self) -> None:
        """Keeps the gauge true; counts where it is time.

        Raises:
            BusUnavailableError: not all could be counted. What was counted last stays shown.
        """
        if not self.unstored.speaks:
            self._period.begin()
            self.gauge.value = 0 if self.unstored.known else math.nan
            return
        now_s = asyncio.get_running_loop().time()
        if self._period.is_due(now_s):
            try:
                letters, keys = await self._count()
            except BusUnavailableError:
                if not self._period.counted:
                    self.gauge.value = math.nan
                raise
            if self.unstored.speaks:
                self.gauge.value = letters
                self._period.ended(letters + keys // KEYS_A_LOOK, asyncio.get_running_loop().time())

    async def _count(self) -> tuple[int, int]:
        """The letters, and how many keys there are."""
        graves: dict[bytes, None] = {}  # in an order, so that a run can be made again
        keys = 0
        for server in await servers(self.bus):
            keys += int(await server.command("DBSIZE"))
            async for page in server.keys(self.bus.keys.dead_pattern(), "hash"):
                graves |= dict.fromkeys(page)
        letters = 0
        for key in graves:
            letters += int(await self.bus.command("HLEN", key))
        return letters, keys
