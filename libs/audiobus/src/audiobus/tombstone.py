"""A conversation's tombstone as somebody sets it who was asked to delete that: not while a merge holds it, and told what it was set over."""

from collections.abc import Collection
from dataclasses import dataclass

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.deletions import KEPT_MS
from audiobus.errors import BusContractError, MergingError
from audiobus.existing import existing
from audiobus.script import script


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stands."""

    fresh: bool
    """Whether it was set just now."""
    merged: bool
    """The conversation went into another one."""
    received_samples: int
    """All that was ever received, at 48 kHz: under the tombstone it grows no more."""


def target_of(tombstone: bytes) -> str | None:
    """Tag of the conversation into which the one under this tombstone went; None where it is deleted."""
    _, _, target = tombstone.partition(b" ")
    return target.decode() or None


async def merged_into(bus: Bus, conversation: Conversation) -> str | None:
    """Tag of the conversation into which this one went; None where it did not. BusUnavailableError: not known."""
    tombstone = await bus.command("GET", bus.keys.tomb(conversation))
    return None if tombstone is None else target_of(tombstone)


async def under_tombstones(bus: Bus, some: Collection[Conversation]) -> set[Conversation]:
    """Those of these conversations that are deleted, or went into others. BusUnavailableError."""
    there = await existing(bus, [bus.keys.tomb(one) for one in some])
    return {one for one in some if bus.keys.tomb(one) in there}


async def entomb(bus: Bus, conversation: Conversation, now_ms: int) -> Tombstone:
    """Deletes the conversation from now on, as `deletions.set_tombstone` does. Do it inside of `deletions.looked_at`.

    Raises:
        MergingError: a merge holds it, as a source or as the target; nothing is changed.
        NotReplicatedError: it stands, but a failover could lose it. Set it again.
        BusUnavailableError: not known whether it stands. Set it again.
    """
    keys = [bus.keys.tomb(conversation), bus.keys.conv(conversation)]
    run, args = script("entomb"), [now_ms, KEPT_MS]
    answer = await run.run(bus.client, keys, args, wait_replicas=bus.wait_replicas)
    if answer[0] == b"merging" and await script("overdue").run(bus.client, [bus.keys.conv(conversation)], []):
        answer = await run.run(bus.client, keys, args, wait_replicas=bus.wait_replicas)
    match answer:
        case [b"set" | b"stands" as how, tomb, received]:
            return Tombstone(how == b"set", target_of(tomb) is not None, int(received))
        case [b"merging", target]:
            raise MergingError(target.decode())
        case other:
            raise BusContractError(f"entomb answered {other!r}")
