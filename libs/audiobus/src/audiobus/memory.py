"""How full Redis is: every service acts before it refuses writes."""

from typing import Any, cast

from redis.asyncio import RedisCluster

from audiobus.bus import Bus
from audiobus.connection import translated


async def memory_share(bus: Bus) -> float | None:
    """How much of `maxmemory` is taken, as Redis reckons when it refuses a write; of a cluster the fullest master.

    None where no server has a limit.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    client = cast("Any", bus.client)
    with translated("INFO"):
        if isinstance(bus.client, RedisCluster):
            nodes = await client.execute_command("INFO", "memory", target_nodes=RedisCluster.PRIMARIES)
            servers = list(nodes.values())
        else:
            servers = [await client.execute_command("INFO", "memory")]
    return max((share for fields in servers if (share := _share(fields)) is not None), default=None)


def _share(fields: dict[str, Any]) -> float | None:
    limit = fields.get("maxmemory", 0)
    if not limit:
        return None
    # What waits for replicas and for the AOF does not count (`getMaxmemoryState` in Redis' evict.c).
    taken = fields.get("used_memory", 0) - fields.get("mem_not_counted_for_evict", 0)
    return max(0.0, float(taken / limit))
