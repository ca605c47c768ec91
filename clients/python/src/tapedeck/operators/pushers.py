"""Whether any pusher is at work, as Redis sees it: who waits for hints just now."""

from typing import Final

from audiobus.errors import BusContractError, BusRefusedError, BusUnavailableError
from audiobus.masters import Masters

READS: Final = "xreadgroup"
IDLE_S: Final = 30
"""A pusher asks again each second, and somewhat later where it is busy with all that it can hold."""


async def readers(masters: Masters) -> int | None:
    """How many connections wait for hints, on those that answer; None where this user may not see connections.

    Consumers of the group say less: before Redis 7.2 one that finds nothing looks as if it had not been there.

    Raises:
        BusUnavailableError: no server answers.
    """
    count = 0
    for server in await masters.there():
        try:
            clients = await server.command("CLIENT LIST")
        except (BusRefusedError, BusContractError):
            return None
        except BusUnavailableError as error:
            masters.missed(server, error)
            continue
        count += sum(one.get("cmd") == READS and int(one.get("idle", 0)) <= IDLE_S for one in clients)
    return count
