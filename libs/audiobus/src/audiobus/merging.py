"""Merging: how conversations are held while one is made out of several, and how each of those comes to its end (docs/merging.md).

Owns the holds and the tombstone that names where the audio went. Each is one step on one conversation and safe to repeat; copying is others'
business. A source that goes away is *frozen*: nothing is opened or appended. What stays, and the target, is only *held*: nobody deletes it.
"""

from dataclasses import dataclass
from typing import Final

from audiobus.bus import ENDS_KEPT_MS, Bus
from audiobus.conversation import Conversation
from audiobus.deletions import KEPT_MS
from audiobus.entry_id import EntryId
from audiobus.errors import (
    BusContractError,
    ConversationDeletedError,
    HeldError,
    LettersError,
    MergedError,
    TooManyOperationsError,
)
from audiobus.frozen import tell_frozen
from audiobus.operations import KEPT_MS as OPERATION_KEPT_MS
from audiobus.operations import Operation
from audiobus.script import Argument, script
from audiobus.tombstone import merged_into, target_of

LIVE_MS: Final = 120_000
"""Whose newest audio is older has nothing that is about to be appended, for a silent socket is closed after 90 s."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A freezing that stands."""

    token: str
    till_ms: int
    """Until then sockets bring what they had not appended when they were told, unix ms of Redis; 0 where nobody has anything."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A conversation that went into another one."""

    tombstone: bytes
    samples: int
    """Stored audio that left its books with that, at 48 kHz: `take_in` counts it where it went."""


async def freeze(
    bus: Bus,
    source: Conversation,
    target: Conversation,
    operation_id: str,
    word: str,
    *,
    until_ms: int,
    now_ms: int = 0,
    grace_ms: int = 0,
) -> Frozen:
    """Freezes a source, says so (`frozen`), and answers that freezing; where it is frozen by this operation already, the one that stands.

    Args:
        bus: the bus.
        source: what is frozen.
        target: where it goes.
        operation_id: whose merge it is; without a space.
        word: one that no other freezing has, without a space.
        until_ms: when it thaws for whoever wants to record or delete, unix ms of Redis: nobody may be left to thaw it.
        now_ms: unix ms of Redis,
        grace_ms: and how long from then on sockets may bring what they had not appended yet.

    Raises:
        HeldError: another merge has it.
        MergedError: it went into another one, perhaps this target.
        ConversationDeletedError: it is deleted.
        NotReplicatedError, BusUnavailableError: not known whether it is frozen, or whether that was said. Freeze it again: that says it again.
    """
    keys = [bus.keys.conv(source), bus.keys.tomb(source)]
    args: list[Argument] = [target.tag, operation_id, word, until_ms]
    # Without a grace nothing is so late that it could be brought.
    args += [now_ms + grace_ms, now_ms - LIVE_MS if grace_ms else until_ms]
    match await script("freeze").run(bus.client, keys, args, wait_replicas=bus.wait_replicas):
        case [b"ok", bytes() as token, bytes() as till]:
            # Of one that stands, too: whether the call that made it came as far as saying so, nobody knows.
            await tell_frozen(bus, source)
            return Frozen(token.decode(), int(till or 0))
        case other:
            raise _refusal(other)


async def hold(bus: Bus, conversation: Conversation, operation_id: str, *, until_ms: int) -> None:
    """Keeps others from deleting a conversation that goes on: a target, or a source that stays. Errors as with `freeze`."""
    keys = [bus.keys.conv(conversation), bus.keys.tomb(conversation)]
    keys += [bus.keys.audio(conversation), bus.keys.dead(conversation)]
    args: list[Argument] = [operation_id, until_ms, ENDS_KEPT_MS]
    answer = await script("hold").run(bus.client, keys, args, wait_replicas=bus.wait_replicas)
    if answer != [b"ok"]:
        raise _refusal(answer)


async def thaw(bus: Bus, conversation: Conversation, operation_id: str) -> bool:
    """Lets go of it: a frozen one goes on where it stood. Whether the operation had it. BusUnavailableError: not known."""
    return bool(await script("thaw").run(bus.client, [bus.keys.conv(conversation)], [operation_id]))


async def goes_into(bus: Bus, conversation: Conversation) -> str | None:
    """Tag of the conversation into which this one is just being merged, or went; None where it stays, or nobody goes on with that merge.

    BusUnavailableError: not known.
    """
    target, till = await bus.command("HMGET", bus.keys.conv(conversation), "merging", "merge_until")
    if not target:
        return await merged_into(bus, conversation)
    stands = not till or await bus.clock.ms(conversation) < int(till)
    return target.decode() if stands else None


async def is_free(bus: Bus, conversation: Conversation) -> bool:
    """Whether no merge holds it; one that stands for longer than it said lets go now. BusUnavailableError: not known."""
    return bool(await script("overdue").run(bus.client, [bus.keys.conv(conversation)], []))


async def bury_merged(
    bus: Bus,
    source: Conversation,
    target: Conversation,
    token: str,
    *,
    newest: EntryId | None,
    fence: int,
    now_ms: int,
) -> Taken | None:
    """Sets the tombstone that names the target, if the source is as it was when it was copied; None where it is not: copy it again.

    Do it inside of `deletions.looked_at`, and `take_in` what it answers.

    Args:
        bus: the bus.
        source: a frozen source.
        target: where all of its audio lies, too.
        token: of the freezing before the source was read.
        newest: its newest id then,
        fence: and its fence.
        now_ms: unix ms.

    Raises:
        LettersError: there are dead letters.
        MergedError, ConversationDeletedError: another tombstone stands.
        NotReplicatedError: it stands, but a failover could lose it. Do it again.
        BusUnavailableError: not known whether it stands. Do it again.
    """
    keys = [bus.keys.tomb(source), bus.keys.conv(source), bus.keys.audio(source), bus.keys.dead(source)]
    args: list[Argument] = [f"{now_ms} {target.tag}", KEPT_MS, token, str(newest or ""), fence]
    match await script("merged").run(bus.client, keys, args, wait_replicas=bus.wait_replicas):
        case [b"set" | b"stands", tombstone, moved]:
            into = target_of(tombstone)
            if into is None:
                raise ConversationDeletedError(f"{source.tag} is deleted")
            if into != target.tag:
                raise MergedError(into, None)
            return Taken(tombstone, int(moved))
        case [b"changed"]:
            return None
        case [b"dead"]:
            raise LettersError(f"{source.tag} has dead letters")
        case other:
            raise BusContractError(f"merged answered {other!r}")


async def take_in(bus: Bus, target: Conversation, source: Conversation, what: Taken) -> bool:
    """Says that the source has gone, and counts in the target's books what left the source's, once. Whether it was counted now.

    BusUnavailableError: do it again.
    """
    await tell_frozen(bus, source)
    before = sorted((await booked(bus, source)) - {source.cid, target.cid})
    args: list[Argument] = [source.cid, what.tombstone, what.samples, ENDS_KEPT_MS, *before]
    keys = [bus.keys.conv(target)]
    return bool(await script("take_in").run(bus.client, keys, args, wait_replicas=bus.wait_replicas))


async def booked(bus: Bus, conversation: Conversation) -> frozenset[str]:
    """Ids of the conversations whose recorded audio counts in the books of this one: its own, and those that went into it.

    What lies here of any other is a copy: it was received there, and is in nobody's books here.
    """
    fields = await bus.command("HKEYS", bus.keys.conv(conversation))
    went = (field[5:].decode() for field in fields if field.startswith(b"from:"))
    return frozenset({conversation.cid, *went})


async def begin_again(bus: Bus, before: Operation, *, most: int) -> bool:
    """Begins an operation that is done anew, under its id. False where it is not done, or forgotten, by now.

    `most`: as with `operations.begin`; so are the errors.
    """
    args: list[Argument] = [before.id, most, OPERATION_KEPT_MS]
    args += ["kind", before.kind, "uid", before.uid, "request", before.request]
    of_kind = bus.keys.operations_of(before.kind, before.uid)
    keys = [bus.keys.operation(before.id), bus.keys.operations(), of_kind]
    answer = int(await script("op_again").run(bus.client, keys, args, wait_replicas=bus.wait_replicas))
    if answer < 0:
        raise TooManyOperationsError(f"{most} operations of the kind {before.kind} are undone for the user")
    return bool(answer)


def _refusal(answer: object) -> Exception:
    match answer:
        case [b"held", bytes() as operation_id]:
            return HeldError(operation_id.decode())
        case [b"tomb", bytes() as tombstone]:
            into = target_of(tombstone)
            return ConversationDeletedError("it is deleted") if into is None else MergedError(into, None)
        case other:
            return BusContractError(f"a hold answered {other!r}")
