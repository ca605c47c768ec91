"""Which history of Redis this is: another id means that writes which were confirmed may be gone.

A server has another id after each restart, also from a backup, and a replica that is made the master has another one than its master had.
"""

from typing import Any, cast

from redis.asyncio import RedisCluster

from audiobus.bus import Bus
from audiobus.connection import translated
from audiobus.conversation import Conversation
from audiobus.errors import BusContractError, BusUnavailableError
from audiobus.servers import servers


async def replication_id(bus: Bus, conversation: Conversation) -> str:
    """`master_replid` of the server that holds the conversation: another one after each failover and each restart.

    Raises:
        BusUnavailableError: Redis does not answer.
        BusContractError: its answer has no such line.
    """
    client = bus.client
    with translated("INFO replication"):
        if isinstance(client, RedisCluster):
            await client.initialize()
            node = client.get_node_from_key(bus.keys.conv(conversation))
            answer: Any = await cast("Any", client).execute_command("INFO", "replication", target_nodes=node)
        else:
            answer = await cast("Any", client).execute_command("INFO", "replication")
    # redis-py parses INFO of one server to a dictionary, and puts it under the node's name on a cluster.
    for fields in (answer, *(value for value in answer.values() if isinstance(value, dict))):
        if "master_replid" in fields:
            return str(fields["master_replid"])
    raise BusContractError("INFO replication: no master_replid")


async def histories(bus: Bus) -> frozenset[str]:
    """The ids of all masters that answer.

    Raises:
        BusUnavailableError: not known which masters there are.
    """
    found = set()
    for server in await servers(bus):
        try:
            found.add(str((await server.info("replication"))["master_replid"]))
        except BusUnavailableError:
            continue  # it shows another id when it is back, if anything became of it
        except KeyError as error:
            raise BusContractError("INFO replication: no master_replid") from error
    return frozenset(found)
