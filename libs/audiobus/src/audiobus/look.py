"""A look at a conversation that costs little however much waits: its numbers, and how old the oldest audio in its buffer is."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from redis import exceptions as redis_errors

from audiobus.bus import Bus
from audiobus.census import Balance
from audiobus.chunk import HEAD_BYTES, made_ms
from audiobus.connection import translate_response, translated
from audiobus.conversation import Conversation
from audiobus.errors import BusError
from audiobus.pipeline import execute
from audiobus.routed import Routed
from audiobus.script import script

SCAN_COUNT: Final = 200


@dataclass(frozen=True, slots=True)
class Look:
    """What stood at one moment."""

    conversation: Conversation
    balance: Balance
    """By the numbers alone: `waiting` is what is left of what was received."""
    entries: int
    letters: int
    """Dead letters."""
    deleted: bool
    """Whether a tombstone stands."""
    oldest_ms: int | None
    """When the oldest chunk in the buffer was made, unix ms; where it does not say, when its session began, or one before it. None without audio."""
    legible: bool = True
    """Whether its numbers are some; else they are shown as 0."""
    fails: int = 0
    """How often in a row it was drained in vain, up to now."""

    @property
    def unswept(self) -> bool:
        """Whether it is deleted, and something of it is left, here or, by the numbers, in the bucket."""
        return self.deleted and bool(self.entries or self.letters or self.balance.stored)

    @property
    def failing(self) -> bool:
        """Whether its last try failed, and something of it is left for the next one."""
        return self.fails > 0 and bool(self.entries or self.letters or self.deleted)

    @property
    def suspicious(self) -> bool:
        """Whether the numbers cannot be true: something waits or is dead by them, and there is nothing, or less than nothing is left."""
        waiting, dead = self.balance.waiting, self.balance.dead
        missing = (waiting > 0 and not self.entries) or (dead > 0 and not self.letters)
        return missing or min(waiting, dead) < 0 or not self.legible


async def look(bus: Bus, conversations: Sequence[Conversation]) -> list[Look]:
    """A look at each, in one pipeline: some hundreds at a time.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    found: list[Look] = []
    for one in await look_each(bus, conversations):
        if isinstance(one, BusError):
            raise one
        found.append(one)
    return found


async def look_each(bus: Bus, conversations: Sequence[Conversation]) -> list[Look | BusError]:
    """The same; where a conversation's own server does not answer, its error.

    Raises:
        BusUnavailableError: no server answers.
    """
    if not conversations:
        return []
    run, keys = script("look"), bus.keys
    names = [[keys.conv(one), keys.audio(one), keys.dead(one), keys.tomb(one)] for one in conversations]
    with translated("look"):
        answers = await execute(bus.client, [Routed(of[0], run.by_digest(of, [HEAD_BYTES])) for of in names])
        unknown = [
            index for index, answer in enumerate(answers) if isinstance(answer, redis_errors.NoScriptError)
        ]
        if unknown:
            again = [Routed(names[index][0], run.by_source(names[index], [HEAD_BYTES])) for index in unknown]
            for index, answer in zip(unknown, await execute(bus.client, again), strict=True):
                answers[index] = answer
    return [_read(one, answer) for one, answer in zip(conversations, answers, strict=True)]


async def on_due(bus: Bus, partition: int) -> AsyncIterator[list[Conversation]]:
    """The conversations of a partition that have a buffer, in pages. One may come twice while the set changes.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    page: list[Conversation] = []
    with translated("ZSCAN"):
        async for tag, _ in cast("Any", bus.client).zscan_iter(bus.keys.due(partition), count=SCAN_COUNT):
            try:
                page.append(Conversation.from_tag(tag))
            except ValueError:
                continue  # not ours
            if len(page) >= SCAN_COUNT:
                yield page
                page = []
    if page:
        yield page


def _read(conversation: Conversation, answer: Any) -> Look | BusError:
    if isinstance(answer, Exception):
        return translate_response("look", answer)
    *numbers, entries, letters, tomb, epoch, heads, fails = answer
    made = [at_ms for head in heads if (at_ms := made_ms(head)) is not None]
    try:
        received, stored, dead, deleted = (int(number or 0) for number in numbers)
    except ValueError:
        balance, legible = Balance(), False
    else:
        balance, legible = Balance(received, stored, received - stored - dead - deleted, dead, deleted), True
    # Behind more openings than were looked at there is audio if the numbers say so.
    waits = bool(heads) or balance.waiting > 0
    oldest_ms = made[0] if made else int(epoch) if epoch and waits else None
    return Look(
        conversation,
        balance,
        int(entries),
        int(letters),
        bool(tomb),
        oldest_ms,
        legible,
        fails=int(fails) if fails.isdigit() else 0,
    )
