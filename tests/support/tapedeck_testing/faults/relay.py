"""A TCP relay whose connections can be spoiled: dropped, reset, half-opened, slowed; or a reply can be lost.

Stands between clients and a server that know nothing of it. Counts in bytes, knows no protocol.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

_NO_LINGER: Final = struct.pack("ii", 1, 0)
_PIECE: Final = 64 * 1024


@dataclass(slots=True, eq=False)
class Pair:
    """One connection through the relay."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    port: int
    """The client's own port."""
    deaf: bool = False
    """What comes from either side goes nowhere, and nobody is told."""
    eats: bool = False
    """The next reply is lost, and the connection with it."""
    told: bytearray = field(default_factory=bytearray)
    """The end of what the client sent last, where a request is waited for."""


class Relay:
    """Listens on a port of its own, and hands on."""

    def __init__(self, host: str, port: int) -> None:
        """`host:port` is where the server is; it need not be there yet."""
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pairs: set[Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaf: list[Pair] = []
        self.delay_s = 0.0
        """What each piece waits before it is handed on, in either direction."""
        self.eat_after: bytes | None = None
        """The reply to the next request with these bytes is lost."""
        self.eaten = 0
        self.asked: Counter[int] = Counter()
        """Pieces that clients have sent, by their own ports."""
        self.delayed = 0
        """Pieces that had to wait."""
        self.held = 0
        """Pieces that were held back by `hold`."""
        self.broken = 0
        """Connections that the server refused or ended."""
        self.refusing = False
        """New connections are closed at once."""
        self._holding: Collection[int] | None = None
        self._let_go = asyncio.Event()

    async def start(self) -> "Relay":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Ends everything."""
        if self._server is not None:
            self._server.close()
        for pair in [*self._pairs, *self._deaf]:
            self._end(pair)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def retarget(self, port: int) -> None:
        """New connections go there."""
        self._target = (self._target[0], port)

    def lose_replies(self) -> int:
        """The next reply on each connection is lost, and the connection with it; how many connections there are."""
        for pair in self._pairs:
            pair.eats = True
        return len(self._pairs)

    def hold(self, ports: Collection[int]) -> None:
        """What clients with these ports and the server say to each other is held back, as in a network that is cut; see `let_go`.

        `ports` may grow meanwhile.
        """
        self._holding = ports

    def let_go(self) -> None:
        """What was held back arrives now, also what its sender has given up."""
        self._holding = None
        self._let_go.set()
        self._let_go = asyncio.Event()

    def spoil(self, how: str, port: int | None = None) -> int:
        """Spoils the connection of the client with that port, or all: `drop`, `reset` or `deaf`. How many it were."""
        hit = [pair for pair in self._pairs if port in (None, pair.port)]
        for pair in hit:
            if how == "deaf":
                pair.deaf = True
                self._pairs.discard(pair)
                self._deaf.append(pair)
                continue
            if how == "reset":
                for writer in (pair.client, pair.server):
                    raw = writer.get_extra_info("socket")
                    with contextlib.suppress(OSError):
                        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._end(pair)
        return len(hit)

    # -- pumping -----------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.refusing:
                await self._relay(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the fault itself; a cancelled relay is being stopped
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(*self._target)
        except OSError:
            self.broken += 1
            raise
        pair = Pair(writer, to_server, writer.get_extra_info("peername")[1])
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(pair, reader, to_server, request=True))
                group.create_task(self._pump(pair, from_server, writer, request=False))
        except* OSError:
            pass  # one side is gone: both are
        finally:
            self._pairs.discard(pair)
            self._end(pair)

    async def _pump(
        self, pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, request: bool
    ) -> None:
        while data := await reader.read(_PIECE):
            if pair.deaf:
                continue
            if request:
                self.asked[pair.port] += 1
                self._watch(pair, data)
            elif pair.eats:
                self.eaten += 1
                raise ConnectionResetError("the reply is lost")
            if self.delay_s:
                self.delayed += 1
                await asyncio.sleep(self.delay_s)
            if self._holding is not None:
                await self._passage(pair)
            writer.write(data)
            await writer.drain()
        if not pair.deaf:
            self.broken += not request
            raise ConnectionResetError("one side has closed")
        await asyncio.Event().wait()  # deaf for good: the other side must not hear of it

    async def _passage(self, pair: Pair) -> None:
        """Waits while this connection is held."""
        if self._holding is not None and pair.port in self._holding:
            self.held += 1
            await self._let_go.wait()

    def _watch(self, pair: Pair, data: bytes) -> None:
        if self.eat_after is None:
            return
        pair.told += data
        if self.eat_after in pair.told:
            self.eat_after = None
            pair.eats = True
        del pair.told[: -len(self.eat_after or b" ")]

    @staticmethod
    def _end(pair: Pair) -> None:
        pair.client.transport.abort()
        pair.server.transport.abort()
