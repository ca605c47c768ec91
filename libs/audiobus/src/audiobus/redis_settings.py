"""Whether Redis is set up so that what it confirmed is still there tomorrow: every service warns where it is not."""

from typing import Any, Final

from audiobus.bus import Bus
from audiobus.servers import Server, servers

NO_LIMIT: Final = "maxmemory is 0: nothing can push back before the machine is full, and the kernel ends Redis then; set it below what the machine has"
"""Nothing is lost by it as long as there is memory."""


async def complaints(bus: Bus) -> list[str]:
    """What is wrong with the settings of Redis; empty where nothing is.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    found: set[str] = set()
    for server in await servers(bus):
        found |= await complaints_of(server, bus.wait_replicas)
    return sorted(found)


async def complaints_of(server: Server, wait_replicas: int) -> set[str]:
    """The same of one server.

    Raises:
        BusUnavailableError: it does not answer.
    """
    found: set[str] = set()
    for section in ("memory", "persistence", "replication"):
        found |= _complaints(await server.info(section), wait_replicas)
    return found


def _complaints(fields: dict[str, Any], wait_replicas: int) -> set[str]:
    found = set()
    policy = fields.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        found.add(f"maxmemory-policy is {policy}: Redis may throw audio away; set noeviction")
    if fields.get("aof_enabled", 1) == 0:
        found.add("appendonly is no: what waits here is lost when Redis ends; set appendonly yes")
    if fields.get("maxmemory") == 0:
        found.add(NO_LIMIT)
    if (replicas := fields.get("connected_slaves", wait_replicas)) < wait_replicas:
        found.add(
            f"{replicas} replicas are connected and {wait_replicas} are waited for: nothing can be acknowledged"
        )
    return found
