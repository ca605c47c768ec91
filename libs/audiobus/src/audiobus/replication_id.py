"""Which histories Redis has: another id means that writes which were confirmed may be gone.

A server has another id after each restart, also from a backup, and a replica that is made the master has another one than its master had. The one
of a conversation comes with `turn.take`.
"""

from audiobus.bus import Bus
from audiobus.errors import BusContractError, BusUnavailableError
from audiobus.servers import servers


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
