"""Objects of a conversation that take the place of others in the bucket, because some of what those hold is deleted.

Owns that it happens in one step, whoever is killed when: the names of new objects are written down before they are put (`announce`), and only
`replace` makes them count, in the same script that notes the old ones and counts what goes with them. A new object that never came to that is
nobody's: whoever replaces next takes it away (`unfinished`, `withdraw`). So no copy of what another deletion is just cutting out can stay.
Until then it is no reason to let other audio go: nobody settles by what has an announced name (`not_counting`), no cut takes one, and none that a cut
speaks of is announced.
One at a time replaces objects of a conversation: the lease is looked at in both scripts, so a process that was paused for longer changes nothing. Nor does it
take the lease anew (`keep`): what it has read before may be what another has cut out since, and be done with.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.deletions import KEPT_MS, looked_at, withdraw
from audiobus.errors import BusContractError, ConversationDeletedError, MergingError, NamedByCutError
from audiobus.merging import is_free
from audiobus.script import Argument, script

LEASE_MS: Final = 15_000
"""How long the right to replace stands where whoever has it is killed; a living one goes on having it (`keep`) a few times in that."""


async def not_counting(bus: Bus, conversation: Conversation) -> frozenset[str]:
    """Names of what must not be, or may not stay, in the bucket: those that are announced, and those that are noted (`gone`).

    Whoever lets audio go because an object holds it asks after looking at the object. What was announced then is announced still, or took its place
    and stays, or was withdrawn, and is noted before it is announced no more.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    announced = await bus.command("HKEYS", bus.keys.replacing(conversation))
    noted = await bus.command("HKEYS", bus.keys.gone(conversation))
    return frozenset(name.decode(errors="replace") for name in (*announced, *noted))


@dataclass(frozen=True, slots=True)
class Replacing:
    """Somebody who replaces objects of one conversation."""

    bus: Bus
    conversation: Conversation
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def hold(self) -> bool:
        """Takes the right to replace; False where somebody else has it. What was read before counts for nothing.

        Raises:
            BusUnavailableError: Redis does not answer.
        """
        return bool(await script("lease").run(self.bus.client, [self.lease], [self.holder, LEASE_MS]))

    async def keep(self) -> bool:
        """Goes on having it; False where it ran out, whoever has had it since.

        Raises:
            BusUnavailableError: Redis does not answer.
        """
        return bool(await script("keep").run(self.bus.client, [self.lease], [self.holder, LEASE_MS]))

    async def release(self) -> None:
        """Gives it back. BusUnavailableError: it runs out by itself."""
        await script("release").run(self.bus.client, [self.lease], [self.holder])

    async def refuse_merge(self) -> None:
        """Looks whether a merge holds the conversation, and ends one that is overdue; what is announced and replaced later looks again, in the same step.

        Raises:
            MergingError: one does.
            BusUnavailableError: Redis does not answer.
        """
        key = self.bus.keys.conv(self.conversation)
        by = next((by for by in await self.bus.command("HMGET", key, "merging", "held") if by), None)
        if by is not None and not await is_free(self.bus, self.conversation):
            raise MergingError(by.decode(errors="replace"))

    async def unfinished(self) -> dict[str, str]:
        """What was announced and never took a place, with its mark: objects of somebody who was killed, or lost the right."""
        rows = await self.bus.command("HGETALL", self._replacing)
        pairs = rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
        return {name.decode(errors="replace"): mark.decode(errors="replace") for name, mark in pairs}

    async def withdraw(self, names: Sequence[str], now_ms: int) -> None:
        """Notes that no object may stay under these names, which are unfinished; nothing is counted. Delete the objects, then call `forget`.

        Raises:
            BusUnavailableError: it may be noted or not; do it again.
        """
        if names:
            await withdraw(self.bus, self.conversation, names, now_ms)

    async def forget(self, names: Sequence[str]) -> None:
        """These are unfinished no more: deleted, or somebody else's. BusUnavailableError: they still are."""
        if names:
            await self.bus.command("HDEL", self._replacing, *names)

    async def announce(self, name: str, mark: str) -> bool:
        """Writes down a name that is about to be put; False where somebody else may replace by now.

        `mark`: what tells the object from others that may come to have the name.

        Raises:
            NamedByCutError: a cut that stands speaks of that name: take another.
            MergingError: a merge holds the conversation.
            ConversationDeletedError: a tombstone stands.
            BusUnavailableError: not known whether it is written down.
        """
        keys = self.bus.keys
        run = [keys.conv(self.conversation), self._replacing, keys.tomb(self.conversation), self.lease]
        return await self._run("replacing", run, [self.holder, KEPT_MS, name, mark]) is not None

    async def replace(self, new: Sequence[str], old: Mapping[str, int], now_ms: int) -> int | None:
        """The objects `new`, which were announced and lie there, take the place of `old`, which are to be deleted then.

        `old`: for each name how much of its audio, in samples at 48 kHz, is stored nowhere else. Answers how many were counted as deleted that were
        not before; None where somebody else may replace by now, or no object may stay under one of the new names: nothing is changed.

        Raises:
            NotReplicatedError: a failover could lose it: delete nothing, and begin anew.
            MergingError, ConversationDeletedError, BusUnavailableError: as for `announce`.
        """
        keys, conversation = self.bus.keys, self.conversation
        run = [keys.conv(conversation), keys.gone(conversation), self._replacing, keys.tomb(conversation)]
        args: list[Argument] = [self.holder, now_ms, KEPT_MS, len(new), *new]
        for name, samples in old.items():
            args += [name, samples]
        async with looked_at(self.bus, conversation, now_ms):
            answer = await self._run("replaced", [*run, self.lease], args)
        return None if answer is None else int(answer[0])

    async def _run(self, name: str, keys: list[str], args: list[Argument]) -> list[Any] | None:
        """What follows `ok`; None for `lost`."""
        # Objects are deleted on the strength of it.
        answer = await script(name).run(self.bus.client, keys, args, wait_replicas=self.bus.wait_replicas)
        match answer:
            case [b"ok", *rest]:
                return rest
            case [b"lost"]:
                return None
            case [b"merging", by]:
                raise MergingError(by.decode(errors="replace"))
            case [b"named"]:
                raise NamedByCutError("a cut that stands speaks of that name")
            case [b"deleted"]:
                raise ConversationDeletedError("the conversation is deleted")
            case other:
                raise BusContractError(f"{name} answered {other!r}")

    @property
    def _replacing(self) -> str:
        return self.bus.keys.replacing(self.conversation)

    @property
    def lease(self) -> str:
        """The key of the right to replace."""
        return self.bus.keys.replacing_lease(self.conversation)
