"""Dead letters, dealt with: what lies there, what an operator wants done with it, and how it gets to the bucket after all.

Owns every change of a dead letter but its burial (`Bus.bury`) and its deletion (`deletions.discard`): each is one script, safe to
repeat, and the books move with it. When to try, and how, is the pusher's.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from audiobus.answers import ConversationGone, CutStands, NameGone
from audiobus.bus import ENDS_KEPT_MS, Bus
from audiobus.connection import translated
from audiobus.conversation import Conversation
from audiobus.dead_fields import shown
from audiobus.deletions import KEPT_MS, looked_at
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError, BusContractError, NotKnownError
from audiobus.existing import existing
from audiobus.hints import Hints
from audiobus.letter import Letter, read_letter
from audiobus.letters_cut import PAGE, LettersCut, first_offsets, letters_of
from audiobus.script import Argument, script

RETRY_MS: Final = "retry_ms"
"""In a letter: when an operator asked for another try, unix ms. It stands until that is settled or failed for good."""
TRIES: Final = "tries"
"""In a letter: how often that failed for good."""
LAST_TRY: Final = "last_try"
"""In a letter: what is in the way of the try that is marked, or what the last one failed of."""
REASON: Final = "retry"
"""Of the hint."""
Order = tuple[int, int, int, bytes]
"""A place among the fields of `td:dead`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A field of `td:dead`."""

    id: str
    """Its name, as `dead_fields.shown` has it."""
    letter: Letter | None
    """None where it is no letter of ours."""
    defect: str = ""
    """Why not."""


@dataclass(frozen=True, slots=True)
class OtherCut:
    """Another cut of dead letters stands, a letter is gone, or something was taken away or given up since the `Moment`: look again."""


@dataclass(frozen=True, slots=True)
class Moment:
    """As of when it was decided what of some letters lies in the bucket already."""

    fence: int
    """`ConversationState.fence`."""
    history: str
    """`master_replid` of the server that holds the conversation."""


def marked_ms(letter: Letter) -> int | None:
    """When another try was asked for, unix ms; None where it was not."""
    at_ms = letter.content.get(RETRY_MS)
    return at_ms if isinstance(at_ms, int) else None


def tries(letter: Letter) -> int:
    """How many such tries failed for good."""
    count = letter.content.get(TRIES)
    return count if isinstance(count, int) else 0


def last_try(letter: Letter) -> str:
    """What is in the way of the try that is marked, or what the last one failed of; empty where nothing was tried."""
    return str(letter.content.get(LAST_TRY, ""))


async def conversations(bus: Bus) -> AsyncIterator[Conversation]:
    """Every conversation with dead letters, in no order. One may come twice while Redis grows or moves its tables.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    with translated("SCAN"):
        # On a cluster redis-py asks every master.
        async for key in cast("Any", bus.client).scan_iter(match=bus.keys.dead_pattern(), count=PAGE):
            conversation = bus.keys.conversation_of(key)
            if conversation is not None:
                yield conversation


async def having(bus: Bus, some: Sequence[Conversation]) -> set[Conversation]:
    """Those of these conversations that have dead letters.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    there = await existing(bus, [bus.keys.dead(one) for one in some])
    return {one for one in some if bus.keys.dead(one) in there}


async def look(
    bus: Bus, conversation: Conversation, after: Order | None = None
) -> AsyncGenerator[Found, None]:
    """The dead letters of a conversation, in order, those that are none of ours last; all, or those after a place in that order."""
    names = sorted(await names_of(bus, conversation), key=order)
    if after is not None:
        names = [name for name in names if order(name) > after]
    async for _name, found in look_at(bus, conversation, names):
        yield found


async def names_of(bus: Bus, conversation: Conversation) -> list[bytes]:
    """Names of the fields of `td:dead`, in no order. BusUnavailableError."""
    names: list[bytes] = await bus.command("HKEYS", bus.keys.dead(conversation))
    return names


async def look_at(
    bus: Bus, conversation: Conversation, names: Sequence[bytes]
) -> AsyncGenerator[tuple[bytes, Found], None]:
    """Those of these fields that there are, in their order. BusUnavailableError."""
    for start in range(0, len(names), PAGE):
        page = names[start : start + PAGE]
        values = await bus.command("HMGET", bus.keys.dead(conversation), *page)
        for name, data in zip(page, values, strict=True):
            if data is None:
                continue
            id_ = shown(name)
            try:
                yield name, Found(id_, read_letter(id_, data))
            except BadEntryError as error:
                yield name, Found(id_, None, str(error))


async def mark(bus: Bus, conversation: Conversation, entry_id: EntryId, now_ms: int) -> bool:
    """Asks for another try of a dead letter; False where there is none of that id. Nothing else changes until it is stored.

    Raises:
        BadEntryError: it is no letter of ours.
        NotKnownError: Redis no longer knows its conversation.
        BusUnavailableError: not known whether it is marked; mark it again.
    """
    if not await _amend(bus, conversation, entry_id, {RETRY_MS: now_ms, LAST_TRY: ""}, marks=True):
        return False
    hints = Hints(bus)
    await hints.due(conversation, now_ms)
    await hints.ready(conversation, REASON)
    return True


async def waits(bus: Bus, conversation: Conversation, entry_ids: Iterable[EntryId], why: str) -> None:
    """Notes what is in the way of another try, which stays asked for."""
    for one in entry_ids:
        await _amend(bus, conversation, one, {LAST_TRY: why})


async def failed(bus: Bus, conversation: Conversation, entry_id: EntryId, why: str) -> None:
    """Another try found that the letter can still not be stored: it is not asked for any more."""
    await _amend(bus, conversation, entry_id, {RETRY_MS: None, LAST_TRY: why}, counts=True)


async def asked_for(bus: Bus, conversation: Conversation) -> bytes | None:
    """What stands as long as a letter may be marked for another try; None where none is. For `none_left`."""
    found: bytes | None = await bus.command("HGET", bus.keys.conv(conversation), "again")
    return found


async def none_left(bus: Bus, conversation: Conversation, seen: bytes) -> bool:
    """No letter is marked any more; False where one was marked since `asked_for` answered `seen`."""
    return bool(await script("again_done").run(bus.client, [bus.keys.conv(conversation)], [seen]))


async def marked(bus: Bus, conversation: Conversation, count: int) -> list[Letter]:
    """The first so many letters that are marked for another try, in order."""
    found: list[Letter] = []
    async for one in look(bus, conversation):
        if one.letter is not None and marked_ms(one.letter) is not None:
            found.append(one.letter)
            if len(found) == count:
                break
    return found


async def moment(bus: Bus, conversation: Conversation) -> Moment:
    """This one: ask for it before the buckets are looked into."""
    fence, history = await script("moment").run(bus.client, [bus.keys.conv(conversation)], [])
    return Moment(int(fence), history.decode())


async def cut(
    bus: Bus,
    conversation: Conversation,
    new: LettersCut | None,
    *,
    replaces: bytes | None = None,
    gone: str = "",
    since: Moment | None = None,
    now_ms: int,
) -> CutStands | OtherCut | ConversationGone | NameGone:
    """Writes down which letters enter the next object.

    Args:
        bus: the bus.
        conversation: whose letters.
        new: the cut; None drops the one that stands.
        replaces: the cut that stands, as it lies there.
        gone: the name that is given up with it, if it may be put by somebody all the same.
        since: when it was decided what stays out of it; None for a cut that only has another name than the one that stands.
        now_ms: unix ms.
    """
    keys = bus.keys
    names = [
        keys.conv(conversation),
        keys.dead(conversation),
        keys.tomb(conversation),
        keys.gone(conversation),
        keys.replacing(conversation),
    ]
    args: list[Argument] = [replaces or b"", new.encode() if new else b"", gone, now_ms, KEPT_MS]
    args += [new.name if new else "", since.history if since else "", since.fence if since else ""]
    args += new.ids if new else ()
    # Letters are kept where nobody looks at the conversation any more; what is given up is looked for.
    async with looked_at(bus, conversation, now_ms) if gone else nullcontext():
        answer = await script("recut").run(bus.client, names, args, wait_replicas=bus.wait_replicas)
    match answer:
        case [b"ok"]:
            return CutStands()
        case [b"standing", _] | [b"gone"] | [b"moved"]:
            return OtherCut()
        case [b"deleted"]:
            return ConversationGone()
        case [b"name"]:
            return NameGone()
        case _:
            raise BusContractError(f"recut answered {answer!r}")


async def settle(bus: Bus, conversation: Conversation, raw: bytes, letters: Sequence[Letter]) -> int | None:
    """The letters of the cut `raw` are stored: they go, and what they held counts as stored. How many samples; None where it no longer stands.

    Raises:
        BadEntryError: a letter of their sessions is none of ours: it cannot be told where `stored` goes on.
    """
    keys = bus.keys
    names = [keys.conv(conversation), keys.audio(conversation), keys.dead(conversation)]
    mine: list[Argument] = []
    for letter in letters:
        mine += [str(letter.entry.id), letter.samples]
    while True:
        others = await letters_of(bus, conversation, {letter.entry.id.epoch for letter in letters})
        for letter in letters:
            others.pop(letter.entry.id, None)
        args: list[Argument] = [raw, ENDS_KEPT_MS, len(letters), *mine, *first_offsets(others)]
        match await script("resettle").run(bus.client, names, args):
            case [b"ok", samples]:
                return int(samples)
            case [b"other"]:
                return None
            case [b"again"]:
                continue  # another was buried meanwhile
            case answer:
                raise BusContractError(f"resettle answered {answer!r}")


async def _amend(
    bus: Bus,
    conversation: Conversation,
    entry_id: EntryId,
    changes: Mapping[str, int | str | None],
    *,
    marks: bool = False,
    counts: bool = False,
) -> bool:
    """Changes what is known of a letter, not what it holds; False where it is gone. None takes a key off."""
    names = [bus.keys.conv(conversation), bus.keys.dead(conversation)]
    while True:
        data = await bus.command("HGET", names[1], str(entry_id))
        if data is None:
            return False
        letter = read_letter(str(entry_id), data)
        content = {**letter.content, **changes}
        if counts:
            content[TRIES] = tries(letter) + 1
        kept = {key: value for key, value in content.items() if value is not None and value != ""}
        args: list[Argument] = [str(entry_id), data, msgspec.msgpack.encode(kept), "1" if marks else "0"]
        match await script("reletter").run(bus.client, names, args):
            case [b"ok"]:
                return True
            case [b"other"]:
                continue
            case [b"unknown"]:
                raise NotKnownError(f"Redis no longer knows the conversation {conversation.tag}")
            case answer:
                raise BusContractError(f"reletter answered {answer!r}")


def order(name: bytes) -> Order:
    """Where a field of `td:dead` stands in `look`: letters by their ids, then all others."""
    try:
        one = EntryId.parse(name)
    except ValueError:
        return 1, 0, 0, hashlib.sha256(name).digest()  # a name may be of any length
    return 0, one.epoch, one.offset, b""
