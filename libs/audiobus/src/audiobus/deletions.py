"""Deleting what was recorded: tombstones, and the ways in which audio leaves Redis and the books without being stored.

Owns the moves to `deleted` (see `census`): each is one script, safe to repeat, and counts no sample twice. Objects in the bucket are
deleted by others; here they are noted and counted. Nothing here retries.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from audiobus.answers import Marks
from audiobus.bus import ENDS_KEPT_MS, Bus
from audiobus.connection import translated
from audiobus.conversation import Conversation
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError, BusContractError
from audiobus.hints import Hints
from audiobus.letters_cut import LettersCut, decode_letters_cut, first_offsets, letters_of, name_in, standing
from audiobus.pipeline import execute
from audiobus.routed import Answer, Routed
from audiobus.script import Argument, script

KEPT_MS: Final = 30 * 24 * 3_600_000
"""Tombstones, and the names of deleted objects, stand so long."""
TIME: Final = b"time/"
"""Begins what builds before `audiobus.meant` noted of a time by which something was deleted. No object's name does."""
LOOK_MS: Final = 60_000
"""So long after a note was begun somebody looks at the conversation, should whoever began it be killed. No note takes so long."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Why a name must not be in the bucket."""

    at_ms: int
    """Since when, unix ms; 0 where that was seen to."""
    given_up: bool
    """Only the name is: the same audio lies under another, or is stored under another. Else it was deleted with its audio."""
    withdrawn: bool = False
    """It was to take the place of another, which stays: nothing was deleted."""

    @classmethod
    def read(cls, value: bytes) -> "Noted":
        """As it stands in Redis; a ValueError where it is no time. Who knows of no `+`, and of no `0` before a time, reads the time all the same."""
        return cls(int(value), value.startswith(b"+"), value.startswith(b"0") and value != b"0")


@asynccontextmanager
async def looked_at(bus: Bus, conversation: Conversation, now_ms: int) -> AsyncIterator[None]:
    """Somebody looks at the conversation after what is noted inside of this, also if nothing else is known of it, or this process is killed."""
    hints = Hints(bus)
    # Before it, for the killed; after it, for a look that comes in between takes the conversation off `due`.
    await hints.due(conversation, now_ms + LOOK_MS)
    yield
    await hints.due(conversation, now_ms)


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of a conversation under a tombstone."""

    samples: int
    """Audio that was deleted just now, at 48 kHz."""
    since_ms: int
    """When the tombstone was set, unix ms."""


async def set_tombstone(
    bus: Bus, conversation: Conversation, now_ms: int, *, merged_into: Conversation | None = None
) -> None:
    """The conversation is deleted from now on: nothing is appended, cut or put any more. Put it on `due` then, so that it is swept.

    Raises:
        NotReplicatedError: it stands, but a failover could lose it. Set it again.
        BusUnavailableError: not known whether it stands. Set it again.
    """
    tomb = f"{now_ms} {merged_into.tag}" if merged_into else str(now_ms)
    keys = [bus.keys.tomb(conversation)]
    await script("tomb").run(bus.client, keys, [tomb, KEPT_MS], wait_replicas=bus.wait_replicas)


async def set_user_tombstone(bus: Bus, uid: str, before_ms: int) -> int:
    """What the user recorded before this is deleted; answers the time that stands, which never goes back.

    Of a clock that is ahead of Redis' by more than two seconds, what stands is Redis' time and those: what is recorded from then on is kept.

    Buffers are emptied when a pusher looks at them: put the user's conversations on `due`.

    Raises:
        NotReplicatedError, BusUnavailableError: as `set_tombstone`.
    """
    keys = [bus.keys.user_tomb(uid)]
    answer = await script("user_tomb").run(
        bus.client, keys, [before_ms, KEPT_MS], wait_replicas=bus.wait_replicas
    )
    return int(answer)


async def marks(bus: Bus, conversation: Conversation) -> Marks:
    """`Bus.marks`."""
    return await bus.marks(conversation)


async def sweep(bus: Bus, conversation: Conversation, now_ms: int) -> Swept | None:
    """Empties buffer and dead letters of a conversation under a tombstone, and clears its cut; None where no tombstone stands."""
    keys = bus.keys
    names = [
        keys.conv(conversation),
        keys.audio(conversation),
        keys.dead(conversation),
        keys.tomb(conversation),
    ]
    match await script("sweep").run(bus.client, names, [now_ms, ENDS_KEPT_MS]):
        case [b"swept", samples, since_ms]:
            return Swept(int(samples), int(since_ms))
        case [b"alive"]:
            return None
        case other:
            raise BusContractError(f"sweep answered {other!r}")


async def emptied(bus: Bus, conversation: Conversation) -> int:
    """The bucket holds nothing of a conversation under a tombstone any more: all that was stored counts as deleted. How many samples."""
    keys = [bus.keys.conv(conversation), bus.keys.tomb(conversation)]
    return int(await script("emptied").run(bus.client, keys, []))


async def expunge(
    bus: Bus,
    conversation: Conversation,
    entries: Mapping[EntryId, int],
    *,
    cut: bytes | None,
    name: str,
    preroll: bool,
    now_ms: int,
) -> int | None:
    """Drops entries of the buffer that their user has deleted. How many samples; None where another cut stands by now.

    Args:
        conversation: whose buffer.
        entries: in order, each with its `counted_samples`; none where only the pre-roll goes, and the cut stays.
        cut: the cut that stands, as it was read: it is dropped with them, and cut anew without them.
        name: of that cut's object. It may be in the bucket, or get there: it is noted among the `gone` ones.
        preroll: drop what was kept for the next batch, too.
        now_ms: unix ms.
    """
    keys = [bus.keys.conv(conversation), bus.keys.audio(conversation), bus.keys.gone(conversation)]
    args: list[Argument] = [cut or b"", name, now_ms, KEPT_MS, "1" if preroll else "0"]
    for entry_id, samples in entries.items():
        args += [str(entry_id), samples]
    # Objects are deleted on the strength of the name that is noted.
    match await script("expunge").run(bus.client, keys, args, wait_replicas=bus.wait_replicas):
        case [b"ok", samples]:
            return int(samples)
        case [b"other", _]:
            return None
        case other:
            raise BusContractError(f"expunge answered {other!r}")


async def drop_cut(bus: Bus, conversation: Conversation, cut: bytes, name: str, now_ms: int) -> bool:
    """Gives up the cut that stands, as it was read, and the name of its object, which may be in the bucket, or get there. False where it stood no more.

    Raises:
        NotReplicatedError: it is given up, but only here, and a failover could lose that: nothing may be deleted for it.
        BusUnavailableError: not known whether it stands.
    """
    keys = [bus.keys.conv(conversation), bus.keys.gone(conversation)]
    args: list[Argument] = [cut, name, now_ms, KEPT_MS]
    # The object is deleted on the strength of it: a former master must not say so.
    return bool(await script("uncut").run(bus.client, keys, args, wait_replicas=bus.wait_replicas))


async def discard(
    bus: Bus,
    conversation: Conversation,
    entry_id: EntryId,
    now_ms: int,
    *,
    own_name: Callable[[LettersCut], Awaitable[str]] | None = None,
) -> int | None:
    """Deletes a dead letter with its audio; how many samples, None where there is none of that id.

    Where it is just being stored, its object is noted among the `gone` ones: whoever puts it deletes it again. So it is with a cut of dead letters
    that this build cannot read: it may speak of this one, and nothing else clears one that is damaged.

    Args:
        bus: the bus.
        conversation: whose letter.
        entry_id: of the letter.
        now_ms: unix ms.
        own_name: says of a cut that is given up with it whether its object, if any, has its name: empty where another's has it, which must stay.

    Raises:
        BadEntryError: a letter of that session is none of ours: it cannot be told where `stored` goes on.
    """
    names = [bus.keys.conv(conversation), bus.keys.dead(conversation)]
    names += [bus.keys.audio(conversation), bus.keys.gone(conversation)]
    while True:
        letters = await letters_of(bus, conversation, {entry_id.epoch})
        if (letter := letters.pop(entry_id, None)) is None:
            return None
        raw = await standing(bus, conversation)
        name = await _given_up_with(entry_id, raw, own_name) if raw else None
        args: list[Argument] = [str(entry_id), letter.samples, str(entry_id.epoch)]
        args += [raw or b"", "0" if name is None else "1", name or "", now_ms, KEPT_MS]
        args += first_offsets(letters)
        # After the last letter nothing may be left of it: then it leaves its user's list, if somebody looks.
        seen_to = bool(name) or not letters
        # What is told to be deleted must not come back with a failover.
        async with looked_at(bus, conversation, now_ms) if seen_to else nullcontext():
            answer = await script("discard").run(bus.client, names, args, wait_replicas=bus.wait_replicas)
        match answer:
            case [b"ok"]:
                return letter.samples
            case [b"gone"]:
                return None
            case [b"again"]:
                continue  # another was buried meanwhile, or is being stored
            case _:
                raise BusContractError(f"discard answered {answer!r}")


async def _given_up_with(
    entry_id: EntryId, raw: bytes, own_name: Callable[[LettersCut], Awaitable[str]] | None
) -> str | None:
    """The name of the object of the letters' cut `raw`, perhaps empty, where it is given up with that letter; None where it stays."""
    try:
        cut = decode_letters_cut(raw)
    except BadEntryError:
        return name_in(raw)
    if str(entry_id) not in cut.ids:
        return None
    return cut.name if own_name is None else await own_name(cut)


async def unstore(
    bus: Bus,
    conversation: Conversation,
    objects: Mapping[str, int],
    now_ms: int,
    *,
    last: Mapping[str, EntryId] | None = None,
) -> int:
    """Notes objects that are about to be deleted from the bucket, and counts them as deleted; how many samples that were not counted so before.

    Call it before the objects are deleted and after what is kept of them is stored anew. Then list the buckets again, before anything is deleted, and note
    what holds the same audio under other names: until the note it may have been brought home under such a one, of which you cannot know. A pusher that is late and puts one of them again finds the
    note, and so does whoever asks for the names (`gone`). The conversation is put on `due`.

    Args:
        conversation: whose objects.
        objects: for each name how much of its audio, in samples at 48 kHz, is deleted with it and stored nowhere else.
        now_ms: unix ms.
        last: for each name, where that is known, the id of the last entry of this conversation that is in it. As long as Redis has that entry the
            object is not settled by: it is counted with its entries, and its cut is given up.
    """
    told: list[Argument] = []
    for name, samples in objects.items():
        entry_id = (last or {}).get(name)
        told += [name, samples if entry_id is None else f"{samples} {entry_id}"]
    return await _note(bus, conversation, now_ms, str(now_ms), told)


async def withdraw(bus: Bus, conversation: Conversation, names: Iterable[str], now_ms: int) -> None:
    """Notes objects that were to take the place of others, and do not: they are about to be deleted, and nothing is counted. Else as `unstore`."""
    await _note(bus, conversation, now_ms, f"0{now_ms}", [word for name in names for word in (name, 0)])


async def _note(
    bus: Bus, conversation: Conversation, now_ms: int, note: str, told: Sequence[Argument]
) -> int:
    keys = bus.keys
    names = [
        keys.conv(conversation),
        keys.gone(conversation),
        keys.audio(conversation),
        keys.dead(conversation),
    ]
    args: list[Argument] = [note, KEPT_MS, *told]
    # The objects are deleted on the strength of this note.
    async with looked_at(bus, conversation, now_ms):
        return int(await script("unstore").run(bus.client, names, args, wait_replicas=bus.wait_replicas))


async def gone(bus: Bus, conversation: Conversation, *, confirmed: bool = False) -> dict[str, int]:
    """The names that must not be in the bucket, and since when, unix ms; 0 where that was seen to (`names_gone`). Else as `noted`."""
    names = await noted(bus, conversation, confirmed=confirmed)
    return {name: why.at_ms for name, why in names.items()}


async def noted(bus: Bus, conversation: Conversation, *, confirmed: bool = False) -> dict[str, Noted]:
    """The names that must not be in the bucket, and why.

    Args:
        bus: the bus.
        conversation: whose objects.
        confirmed: as many replicas as are asked for must know of them, too. Whoever deletes an object because of its name wants that: a former
            master may have noted a name alone, which the new one has settled.

    Raises:
        BadEntryError: a time that is none.
        NotReplicatedError: too few replicas confirmed them; it may be a former master.
        BusUnavailableError: Redis does not answer.
    """
    key = bus.keys.gone(conversation)
    with translated("HGETALL"):
        # WAIT speaks of everything that the server had written when it answered, so a read before it is enough.
        wait_replicas = bus.wait_replicas if confirmed else 0
        [rows] = await execute(bus.client, [Routed(key, ("HGETALL", key))], wait_replicas=wait_replicas)
        if isinstance(rows, Exception):
            raise rows
    return names_in(rows)


def names_in(rows: Answer) -> dict[str, Noted]:
    """What `HGETALL` answered of it. BadEntryError: a time that is none."""
    try:
        notes = [(name.decode(), value) for name, value in pairs(rows) if not name.startswith(TIME)]
        return {name: Noted.read(value) for name, value in notes}
    except ValueError as error:
        raise BadEntryError(f"deleted objects: {error}") from error


def pairs(rows: Answer) -> list[tuple[bytes, bytes]]:
    """Fields and values, as `HGETALL` answers them on any connection."""
    return list(rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True))


async def names_gone(bus: Bus, conversation: Conversation, names: Mapping[str, int], now_ms: int) -> int:
    """These names, with the times of `gone`, are in no bucket, and no put of them can be under way. How many others are left.

    They stay noted for 30 days from now; those that were seen to so long ago are noted no more.
    """
    keys = [bus.keys.conv(conversation), bus.keys.gone(conversation), bus.keys.gone_since(conversation)]
    args: list[Argument] = [now_ms, KEPT_MS]
    for name, at_ms in names.items():
        args += [name, at_ms]
    return int(await script("names_gone").run(bus.client, keys, args))
