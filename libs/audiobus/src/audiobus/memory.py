"""How full Redis is: every service acts before it refuses writes."""

import asyncio
from typing import Any

from audiobus.bus import Bus
from audiobus.errors import BusUnavailableError
from audiobus.servers import Server, servers


async def memory_share(bus: Bus) -> float | None:
    """How much of `maxmemory` is taken, as Redis reckons when it refuses a write; of a cluster the fullest master that answers.

    None where no server has a limit.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    return max((share for _, share in await memory_shares(bus) if share is not None), default=None)


async def memory_shares(bus: Bus) -> list[tuple[Server, float | None]]:
    """The same for each master that answers: each has a limit of its own, and none waits for another.

    Raises:
        BusUnavailableError: none of them answers.
    """
    found = await servers(bus)
    answers = await asyncio.gather(*map(share_of, found), return_exceptions=True)
    shares: list[tuple[Server, float | None]] = []
    away: BusUnavailableError | None = None
    for server, answer in zip(found, answers, strict=True):
        if isinstance(answer, BusUnavailableError):
            away = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            shares.append((server, answer))
    if away is not None and not shares:
        raise away
    return shares


async def share_of(server: Server) -> float | None:
    """The same of one master.

    Raises:
        BusUnavailableError: it does not answer.
    """
    return _share(await server.info("memory"))


def _share(fields: dict[str, Any]) -> float | None:
    limit = fields.get("maxmemory", 0)
    if not limit:
        return None
    # What waits for replicas and for the AOF does not count (`getMaxmemoryState` in Redis' evict.c).
    taken = fields.get("used_memory", 0) - fields.get("mem_not_counted_for_evict", 0)
    return max(0.0, float(taken / limit))
