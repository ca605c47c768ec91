"""Whether any pusher is at work, as Redis sees it: who waits for hints just now."""

from typing import Any, Final, cast

from redis import exceptions as redis_errors
from redis.asyncio import RedisCluster

from audiobus import Bus
from audiobus.connection import translated
from audiobus.errors import BusContractError, BusRefusedError

READS: Final = "xreadgroup"
IDLE_S: Final = 30
"""A pusher asks again each second, and somewhat later where it is busy with all that it can hold."""


async def readers(bus: Bus) -> int | None:
    """How many connections wait for hints; None where this user may not see connections.

    Consumers of the group say less: before Redis 7.2 one that finds nothing looks as if it had not been there.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    try:
        with translated("CLIENT LIST"):
            clients = await _clients(bus)
    except (BusRefusedError, BusContractError):
        return None
    waiting = [one for one in clients if one.get("cmd") == READS and int(one.get("idle", 0)) <= IDLE_S]
    return len(waiting)


async def _clients(bus: Bus) -> list[dict[str, Any]]:
    client = cast("Any", bus.client)
    if not isinstance(bus.client, RedisCluster):
        return list(await client.execute_command("CLIENT LIST"))
    answer = await client.execute_command("CLIENT LIST", target_nodes=RedisCluster.PRIMARIES)
    if not isinstance(answer, dict):
        raise redis_errors.ResponseError("CLIENT LIST: not answered by node")
    return [one for found in answer.values() for one in found]
