"""The scripts, each in a file of its own under `lua/`, run by their digest."""

import hashlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

from redis import exceptions as redis_errors

from audiobus.connection import WAIT_MS, Client, translated
from audiobus.errors import NotReplicatedError

Argument = str | bytes | int


@dataclass(frozen=True, slots=True)
class Script:
    """One script: what it is called, its source and the digest that Redis knows it by."""

    name: str
    source: str
    digest: str

    def by_digest(self, keys: Sequence[str], args: Sequence[Argument]) -> tuple[Argument, ...]:
        """The command that runs it where Redis knows it."""
        return ("EVALSHA", self.digest, len(keys), *keys, *args)

    def by_source(self, keys: Sequence[str], args: Sequence[Argument]) -> tuple[Argument, ...]:
        """The command that runs it and makes Redis know it."""
        return ("EVAL", self.source, len(keys), *keys, *args)

    async def run(
        self, client: Client, keys: Sequence[str], args: Sequence[Argument], *, wait_replicas: int = 0
    ) -> Any:
        """The script's answer.

        Args:
            client: where to run it.
            keys: the script's keys, all in one slot.
            args: its arguments.
            wait_replicas: replicas that must confirm it before this returns.

        Raises:
            BusUnavailableError: whether the script ran is unknown; every script may be run again.
            BusContractError: the script failed.
        """
        with translated(self.name):
            try:
                return await self._execute(client, self.by_digest(keys, args), wait_replicas)
            except redis_errors.NoScriptError:
                # A new or restarted server: nothing ran. The source goes along this once.
                return await self._execute(client, self.by_source(keys, args), wait_replicas)

    async def _execute(self, client: Client, command: tuple[Any, ...], wait_replicas: int) -> Any:
        if not wait_replicas:
            return await cast("Awaitable[Any]", client.execute_command(*command))
        # On the same connection: WAIT speaks of what that connection wrote.
        pipeline = client.pipeline(transaction=False)
        pipeline.execute_command(*command)
        pipeline.execute_command("WAIT", wait_replicas, WAIT_MS)
        answer, confirmed = await pipeline.execute()
        if confirmed < wait_replicas:
            raise NotReplicatedError(
                f"{self.name}: confirmed by {confirmed} replicas, {wait_replicas} are asked for"
            )
        return answer


@cache
def script(name: str) -> Script:
    """The script in `lua/<name>.lua`."""
    source = resources.files("audiobus").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, digest)
