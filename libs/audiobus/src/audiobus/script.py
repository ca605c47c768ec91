"""The scripts, each in a file of its own under `lua/`, run by their digest."""

import hashlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

from redis import exceptions as redis_errors

from audiobus.connection import Client, translated
from audiobus.pipeline import execute
from audiobus.routed import Answer, Routed

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
                return await _execute(client, keys[0], self.by_digest(keys, args), wait_replicas)
            except redis_errors.NoScriptError:
                # A new or restarted server: nothing ran. The source goes along this once.
                return await _execute(client, keys[0], self.by_source(keys, args), wait_replicas)


@dataclass(frozen=True, slots=True)
class Call:
    """A script with what it is to be run with."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Argument]

    def by_digest(self) -> Routed:
        """The command that runs it where Redis knows it."""
        return Routed(self.keys[0], self.script.by_digest(self.keys, self.args))

    def by_source(self) -> Routed:
        """The command that runs it and makes Redis know it."""
        return Routed(self.keys[0], self.script.by_source(self.keys, self.args))


async def run_together(client: Client, calls: Sequence[Call], *, wait_replicas: int = 0) -> list[Answer]:
    """Runs scripts in one go; the answers in order, and in the place of each that failed its exception (`audiobus.pipeline.execute`)."""
    if not calls:
        return []
    answers = await execute(client, [call.by_digest() for call in calls], wait_replicas=wait_replicas)
    unknown = [
        index for index, answer in enumerate(answers) if isinstance(answer, redis_errors.NoScriptError)
    ]
    if unknown:
        # A new or restarted server: nothing ran. The sources go along this once.
        missing = [calls[index].by_source() for index in unknown]
        again = await execute(client, missing, wait_replicas=wait_replicas)
        for index, answer in zip(unknown, again, strict=True):
            answers[index] = answer
    return answers


async def _execute(client: Client, key: str, command: tuple[Argument, ...], wait_replicas: int) -> Any:
    if not wait_replicas:
        return await cast("Awaitable[Any]", client.execute_command(*command))
    answer = (await execute(client, [Routed(key, command)], wait_replicas=wait_replicas))[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


@cache
def script(name: str) -> Script:
    """The script in `lua/<name>.lua`."""
    source = resources.files("audiobus").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, digest)
