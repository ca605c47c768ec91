"""How many operations there are, shown as gauges. Every process counts all of them, so each shows the same: take the largest of all."""

import asyncio
import logging
from math import nan
from typing import Final

from audiobus import Bus
from audiobus.errors import BusError
from audiobus.operations import count
from storage_api.errors import log_text
from storage_api.metrics import OPERATION_STATES, StorageMetrics

EVERY_S: Final = 10.0

log = logging.getLogger(__name__)


class Tally:
    """Counts for one process."""

    def __init__(self, bus: Bus, metrics: StorageMetrics) -> None:
        self._bus = bus
        self._gauges = metrics.operations
        for state in OPERATION_STATES:
            self._gauges[state].set(nan)  # not known yet

    async def run(self, every_s: float = EVERY_S) -> None:
        """Until it is cancelled. While Redis is away the last numbers stay."""
        while True:
            try:
                await self.count()
            except BusError as error:
                log.debug("operations cannot be counted", extra={"reason": log_text(error)})
            await asyncio.sleep(every_s)

    async def count(self) -> None:
        """Once. BusError."""
        counts = await count(self._bus)
        self._gauges["undone"].set(counts.undone)
        self._gauges["due"].set(counts.due)
        self._gauges["failing"].set(counts.failing)
