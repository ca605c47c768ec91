"""The masters of Redis, as operators look at them: all that answer, and which do not. The structs are those of `--json`.

On a cluster one that is away must not hide what the others hold. Owns that each is asked no more once it did not answer.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from audiobus.bus import Bus
from audiobus.cluster import Cluster
from audiobus.conversation import Conversation
from audiobus.errors import BusUnavailableError
from audiobus.servers import Server, servers

PAGE = 200


class Away(msgspec.Struct, frozen=True):
    """A master that does not answer."""

    server: str
    """host:port"""
    why: str


class Strange(msgspec.Struct, frozen=True):
    """A key that is named like a conversation's and is none."""

    key: str
    """Bytes in it that are no text are written `\\xff`."""
    why: str


def conversation_of(bus: Bus, key: bytes) -> Conversation | None:
    """The conversation that a key speaks of; None where there can be none of that name."""
    found = bus.keys.conversation_of(key)
    return found if found is not None and found.possible else None


@dataclass(slots=True)
class Masters:
    """What is known of them in one command."""

    bus: Bus
    _all: list[Server] = field(default_factory=list)
    _away: dict[str, str] = field(default_factory=dict)
    _strange: dict[str, str] = field(default_factory=dict)

    @property
    def away(self) -> tuple[Away, ...]:
        """Those that did not answer so far."""
        return tuple(Away(name, why) for name, why in sorted(self._away.items()))

    @property
    def strange(self) -> tuple[Strange, ...]:
        """Keys that were met so far and are none of ours."""
        return tuple(Strange(key, why) for key, why in sorted(self._strange.items()))

    def spoilt(self, key: str | bytes, why: str) -> None:
        """A key that should be a conversation's is none."""
        text = key.decode(errors="backslashreplace") if isinstance(key, bytes) else key
        self._strange.setdefault(text, why)

    async def there(self) -> list[Server]:
        """Those that have not failed to answer so far.

        Raises:
            BusUnavailableError: not known which there are, or none is left.
        """
        if not self._all:
            self._all = await servers(self.bus)
        found = [one for one in self._all if one.name not in self._away]
        if not found:
            raise BusUnavailableError("; ".join(self._away.values()))
        return found

    def missed(self, server: Server, error: BusUnavailableError) -> None:
        """One did not answer. Raises the error where it is the only one there is."""
        if not isinstance(self.bus.client, Cluster):
            raise error
        self._away[server.name] = str(error)

    def lost(self, key: str, error: BusUnavailableError) -> None:
        """The master that has this key did not answer. Raises the error where it is the only one there is."""
        if not isinstance(self.bus.client, Cluster):
            raise error
        self._away[self.bus.client.lane(key) or key] = str(error)

    def holds_up(self, key: str) -> bool:
        """Whether the key lies on one that does not answer."""
        client = self.bus.client
        return isinstance(client, Cluster) and client.lane(key) in self._away

    async def conversations(self, match: str, kind: str) -> AsyncIterator[list[Conversation]]:
        """Those of the keys of this type that match, in pages. One may come twice while Redis grows or moves its tables.

        Raises:
            BusUnavailableError: no server answers.
        """
        for server in await self.there():
            try:
                async for keys in server.keys(match, kind):
                    found = [one for key in keys if (one := conversation_of(self.bus, key)) is not None]
                    for start in range(0, len(found), PAGE):
                        yield found[start : start + PAGE]
            except BusUnavailableError as error:
                self.missed(server, error)
        await self.there()

    def buffers(self) -> AsyncIterator[list[Conversation]]:
        """Every conversation that has a buffer."""
        return self.conversations(self.bus.keys.audio_pattern(), "stream")

    def graves(self) -> AsyncIterator[list[Conversation]]:
        """Every conversation that has dead letters."""
        return self.conversations(self.bus.keys.dead_pattern(), "hash")
