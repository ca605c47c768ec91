"""A client of the world's Redis with the surface of redis-py that the product uses.

Owns the shapes of redis-py's answers, where they differ from the wire's. Everything that can go wrong on the way is the server's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tapedeck_testing.simulation.virtual_loop import PROCESS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tapedeck_testing.simulation.server import Args, Server


class Client:
    """Like `redis.asyncio.Redis`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def execute_command(self, *args: Any, **_options: Any) -> Any:
        """One command."""
        block_s = None
        if args[0] == "XREADGROUP" and "BLOCK" in args:
            at = args.index("BLOCK")
            block_s = int(args[at + 1]) / 1000
            args = (*args[:at], *args[at + 2 :])
        answer = (await self._server.request([args], block_s=block_s))[0]
        if isinstance(answer, Exception):
            raise answer
        return _shaped(args, answer)

    def pipeline(self, transaction: bool = True) -> Pipeline:  # noqa: FBT001, FBT002 - as redis-py
        """Commands that go out together."""
        assert not transaction, "the product has no transactions but its scripts"
        return Pipeline(self._server)

    async def scan_iter(
        self, match: str | None = None, count: int | None = None, _type: str | None = None
    ) -> AsyncIterator[bytes]:
        """All keys, page by page."""
        cursor: Any = 0
        while True:
            args: list[Any] = ["SCAN", cursor]
            if match is not None:
                args += ["MATCH", match]
            if count is not None:
                args += ["COUNT", count]
            if _type is not None:
                args += ["TYPE", _type]
            cursor, keys = await self.execute_command(*args)
            for key in keys:
                yield key
            if int(cursor) == 0:
                return

    async def zscan_iter(self, name: str, **_options: Any) -> AsyncIterator[tuple[bytes, float]]:
        """All members of a sorted set: so few come in one page."""
        answer = await self.execute_command("ZRANGE", name, 0, -1, "WITHSCORES")
        for member, score in zip(answer[::2], answer[1::2], strict=True):
            yield member, float(score)

    async def hexists(self, name: Any, key: Any) -> bool:
        """Whether a hash has the field."""
        return bool(await self.execute_command("HEXISTS", name, key))

    async def hlen(self, key: Any) -> int:
        """Fields of a hash."""
        return int(await self.execute_command("HLEN", key))

    async def initialize(self) -> Self:
        """Nothing to do."""
        return self

    async def aclose(self) -> None:
        """Its connections are given back."""
        self._server.forget_blocked(PROCESS.get())


class Pipeline:
    """Like redis-py's, without a transaction."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._commands: list[Args] = []

    def execute_command(self, *args: Any) -> Self:
        """One more."""
        self._commands.append(args)
        return self

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - as redis-py
        """The answers to all of them."""
        commands, self._commands = self._commands, []
        if not commands:
            return []
        answers = await self._server.request(commands)
        if raise_on_error:
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return [_shaped(args, answer) for args, answer in zip(commands, answers, strict=True)]


def _shaped(args: Args, answer: Any) -> Any:
    """As redis-py gives it: of what the product asks for only `SET` and `HGETALL` differ from the wire."""
    match args[0]:
        case "HGETALL":
            return dict(zip(answer[::2], answer[1::2], strict=True)) if isinstance(answer, list) else answer
        case "SET":
            return None if answer is None else bool(answer)
        case _:
            return answer
