"""Whether Redis is set up so that what it confirmed is still there tomorrow: every service warns where it is not."""

from typing import Any, cast

from redis.asyncio import RedisCluster

from audiobus.bus import Bus
from audiobus.connection import translated


async def complaints(bus: Bus) -> list[str]:
    """What is wrong with the settings of Redis; empty where nothing is.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    client = cast("Any", bus.client)
    found: set[str] = set()
    with translated("INFO"):
        for section in ("memory", "persistence"):
            if isinstance(bus.client, RedisCluster):
                nodes = await client.execute_command("INFO", section, target_nodes=RedisCluster.PRIMARIES)
                servers = list(nodes.values())
            else:
                servers = [await client.execute_command("INFO", section)]
            for fields in servers:
                found |= _complaints(fields)
    return sorted(found)


def _complaints(fields: dict[str, Any]) -> set[str]:
    found = set()
    policy = fields.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        found.add(f"maxmemory-policy is {policy}: Redis may throw audio away; set noeviction")
    if fields.get("aof_enabled", 1) == 0:
        found.add("appendonly is no: what waits here is lost when Redis ends; set appendonly yes")
    return found
