"""What Redis says of itself, as gauges: memory, load, and whether it still writes down what it has.

One pusher at a time shows them (the one that counts the audio: `unstored.speaks`), the others 0, so that the sum over all of them and the largest one are both
right, and no exporter is needed. Must not act on them: `relief` and `listen.high_water` look for themselves.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from audiobus.bus import Bus
from audiobus.errors import BusError, BusUnavailableError
from audiobus.servers import Server, servers
from servicekit.metrics import Metrics
from servicekit.stop import Stop

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
_SECTIONS: Final = ("memory", "stats", "clients", "replication", "persistence")
_SAVES: Final = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")


class RedisFigures:
    """The gauges on the registry of a process, and who looks."""

    def __init__(self, metrics: Metrics) -> None:
        self._answers = metrics.gauge(
            "redis_servers", "Masters of Redis that answer, shown by one pusher; 0 where none does"
        )
        self._sums = {
            "used_memory": metrics.gauge(
                "redis_memory_used_bytes", "Memory of all masters of Redis, shown by one pusher"
            ),
            "maxmemory": metrics.gauge(
                "redis_memory_limit_bytes",
                "maxmemory of all masters of Redis, shown by one pusher; 0: no limit",
            ),
            "instantaneous_ops_per_sec": metrics.gauge(
                "redis_commands_per_second",
                "Commands that the masters of Redis carry out, shown by one pusher",
            ),
            "connected_clients": metrics.gauge(
                "redis_clients", "Connections to the masters of Redis, shown by one pusher"
            ),
            "connected_slaves": metrics.gauge(
                "redis_replicas", "Replicas that are connected to the masters of Redis, shown by one pusher"
            ),
            "evicted_keys": metrics.gauge(
                "redis_evicted_keys",
                "Keys that Redis threw away since it started, shown by one pusher: anything but 0 may have been audio",
            ),
        }
        self._unsaved = metrics.gauge(
            "redis_not_saving",
            "Masters of Redis that could not write down what they have (AOF or RDB) at the last try, shown by one pusher",
        )

    async def run(self, bus: Bus, speaks: Callable[[], bool], stop: Stop) -> None:
        """Looks until `stop`; goes on whatever happens to Redis."""
        while not stop.is_set():
            if speaks():
                try:
                    self.show(await _look(bus))
                except BusError:
                    self.show([])  # that it is away is said elsewhere
                except Exception:
                    # A defect, ours or a library's: what is shown would stand still.
                    log.critical("the figures of Redis cannot be read", exc_info=True)
                    self.show([])
            else:
                self._all(0)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_S)

    def show(self, answers: list[dict[str, Any]]) -> None:
        """Sums what the masters say that answer; where none does, nothing but that is known."""
        if not answers:
            self._all(math.nan)
            self._answers.set(0)
            return
        self._answers.set(len(answers))
        for name, gauge in self._sums.items():
            gauge.set(sum(float(answer.get(name, 0)) for answer in answers))
        self._unsaved.set(sum(any(answer.get(one, "ok") != "ok" for one in _SAVES) for answer in answers))

    def _all(self, value: float) -> None:
        for gauge in (self._answers, self._unsaved, *self._sums.values()):
            gauge.set(value)


async def _look(bus: Bus) -> list[dict[str, Any]]:
    """What each master that answers says.

    Raises:
        BusUnavailableError: not known which there are.
    """
    answers = await asyncio.gather(*map(_of, await servers(bus)), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, BusUnavailableError):
            raise answer
    return [answer for answer in answers if isinstance(answer, dict)]


async def _of(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section in _SECTIONS:
        found |= await server.info(section)
    return found
