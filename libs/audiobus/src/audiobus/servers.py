"""The masters that hold the keys, each by itself: what only one of them can say, and walks in which one that is away spoils no other's."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, cast

from redis.asyncio import RedisCluster

from audiobus.bus import Bus
from audiobus.connection import translated

SCAN_COUNT: Final = 500


@dataclass(frozen=True, slots=True)
class Server:
    """One master."""

    name: str
    """`host:port` on a cluster; empty where there is one server, whoever it is just now."""
    _client: Any
    _target: dict[str, Any]

    async def info(self, section: str) -> dict[str, Any]:
        """A section of `INFO`, as redis-py parses it.

        Raises:
            BusUnavailableError: it does not answer.
        """
        with translated(f"INFO {section}"):
            answer: dict[str, Any] = await self._client.execute_command("INFO", section, **self._target)
        # On a cluster redis-py may put it under the node's name.
        inner: dict[str, Any] = answer.get(self.name, answer)
        return inner

    async def command(self, *args: str | int) -> Any:
        """A command that speaks of no key.

        Raises:
            BusUnavailableError: it does not answer.
        """
        with translated(str(args[0])):
            answer: Any = await self._client.execute_command(*args, **self._target)
        return answer.get(self.name, answer) if self.name and isinstance(answer, dict) else answer

    def streams(self, match: str) -> AsyncIterator[list[bytes]]:
        """The keys of all streams that match, as `keys` has it."""
        return self.keys(match, "stream")

    async def keys(self, match: str, kind: str | None) -> AsyncIterator[list[bytes]]:
        """The keys of this type (`stream`, `hash` and so on; None: of any) that match, by some hundreds. One may come twice while Redis grows or moves its tables.

        Raises:
            BusUnavailableError: it does not answer, or answers no more.
        """
        page: list[bytes] = []
        with translated("SCAN"):
            async for key in self._client.scan_iter(
                match=match, count=SCAN_COUNT, _type=kind, **self._target
            ):
                page.append(key)
                if len(page) == SCAN_COUNT:
                    yield page
                    page = []
        if page:
            yield page


async def servers(bus: Bus) -> list[Server]:
    """Every master.

    Raises:
        BusUnavailableError: not known which there are.
    """
    client = cast("Any", bus.client)
    if not isinstance(bus.client, RedisCluster):
        return [Server("", client, {})]
    with translated("CLUSTER SLOTS"):
        await client.initialize()
    return [Server(node.name, client, {"target_nodes": node}) for node in client.get_primaries()]
