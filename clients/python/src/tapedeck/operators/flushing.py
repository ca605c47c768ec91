"""Getting buffers stored: the wish, and the waiting until what waited is out of them. The work behind `tapedeck buffers flush`.

Owns what is told of it: by the books, so that what was buried, deleted or lost while it waited is not called stored.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from audiobus import Asked, Conversation, EntryId, Hints
from audiobus.connection import translate_response, translated
from audiobus.errors import BusContractError, BusError, BusUnavailableError
from audiobus.look import Look, look_each
from audiobus.masters import Away, Masters, Strange
from audiobus.pipeline import execute
from audiobus.routed import Routed

REASON: Final = "flush"
PAGE: Final = 200
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0


class Flushed(msgspec.Struct, frozen=True):
    """What came of a flush; of what was there when it was asked for, in seconds of audio."""

    conversations: int
    """That had something waiting."""
    stored_seconds: float
    waiting_seconds: float
    """0 where all is dealt with."""
    dead_seconds: float
    """Went to the dead letters meanwhile."""
    deleted_seconds: float
    """Was deleted meanwhile."""
    lost_seconds: float
    """Is gone, and the books do not say where: Redis lost it."""
    new_dead_letters: int
    done: bool
    """Nothing of it waits any more."""
    problem: str = ""
    """Why it is not known how far it is."""
    not_asked: tuple[str, ...] = ()
    """Conversations that nobody could be told to store."""
    away: tuple[Away, ...] = ()
    """Masters of a cluster that do not answer: what they hold was not asked for."""
    strange: tuple[Strange, ...] = ()
    """Keys that are named like a buffer and are none: nobody stores what is in them."""


@dataclass(slots=True)
class _Asked:
    """One conversation's buffer that shall be stored. Audio in samples at 48 kHz."""

    upto: EntryId
    """The newest entry when it was asked for."""
    before: Look
    samples: int
    """That waited then."""
    waits: bool = True
    stored: int = 0
    dead: int = 0
    deleted: int = 0
    letters: int = 0
    """Dead letters that came since."""

    @property
    def left(self) -> int:
        """What is not accounted for: it waits, or is lost."""
        return self.samples - self.stored - self.dead - self.deleted

    def seen(self, now: Look) -> None:
        """Takes what moved in the books since. What was recorded later comes after what waited, so it is no more than that."""
        old, new = self.before.balance, now.balance
        self.dead = _moved(old.dead, new.dead, self.samples)
        self.deleted = _moved(old.deleted, new.deleted, self.samples - self.dead)
        self.stored = _moved(old.stored, new.stored, self.samples - self.dead - self.deleted)
        self.letters = max(0, now.letters - self.before.letters)


class Flush:
    """Buffers that shall be stored now, and how far that has come."""

    def __init__(self, masters: Masters) -> None:
        self._masters = masters
        self.not_asked: list[str] = []
        """Conversations that have something, and nobody could be told to store it."""
        self._asked: dict[Conversation, _Asked] = {}

    @property
    def left(self) -> list[Conversation]:
        """Those that are not done."""
        return [conversation for conversation, one in self._asked.items() if one.waits]

    @property
    def total_samples(self) -> int:
        """What waited when it was asked for."""
        return sum(one.samples for one in self._asked.values())

    @property
    def stored_samples(self) -> int:
        """Of that."""
        return sum(one.stored for one in self._asked.values())

    @property
    def settled_samples(self) -> int:
        """Of that, what does not wait any more, whatever became of it."""
        return sum(one.samples - one.left if one.waits else one.samples for one in self._asked.values())

    async def ask(self, conversations: Sequence[Conversation]) -> None:
        """Asks for all that they have now; nothing is forgotten if this process ends.

        On a cluster one whose master does not answer is among `not_asked`.

        Raises:
            BusUnavailableError: it is not noted.
        """
        keys = self._masters.bus.keys
        for conversation, one in zip(
            conversations, await look_each(self._masters.bus, conversations), strict=True
        ):
            try:
                if isinstance(one, BusError):
                    raise one
                await self._ask(conversation, one)
            except BusUnavailableError as error:
                if conversation in self._asked:
                    with suppress(
                        BusUnavailableError
                    ):  # the wish stands: who waits for it says that nothing answers
                        self._masters.lost(keys.due(keys.partition(conversation)), error)
                else:
                    self._masters.lost(keys.audio(conversation), error)
                    self.not_asked.append(conversation.tag)
            except BusContractError as error:
                self._masters.spoilt(keys.audio(conversation), str(error))
                self.not_asked.append(conversation.tag)

    async def _ask(self, conversation: Conversation, now: Look) -> None:
        bus = self._masters.bus
        asked = await bus.ask(conversation, REASON)
        if not isinstance(asked, Asked) or not asked.entries or conversation in self._asked:
            return
        self._asked[conversation] = _Asked(asked.newest, now, max(0, now.balance.waiting))
        # The wish stands from here on; whoever is told of it late finds it all the same.
        if self._masters.holds_up(bus.keys.due(bus.keys.partition(conversation))):
            return
        hints = Hints(bus)
        await hints.due(conversation, time.time_ns() // 1_000_000)
        await hints.ready(conversation, REASON)

    async def wait(self, within_s: float | None, seen: Callable[["Flush"], Awaitable[None]]) -> Flushed:
        """Returns when all of it left the buffers, or the time is over: then it goes on without us.

        The wish stands in Redis: that Redis does not answer for a while ends nothing.
        """
        deadline = None if within_s is None else time.monotonic() + within_s
        pause = FIRST_PAUSE_S
        problem = ""
        while self.left and (deadline is None or time.monotonic() < deadline):
            try:
                await self._look()
                problem = ""
                await seen(self)
            except BusUnavailableError as error:
                problem = str(error)
            if self.left:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 1.5)
        every = self._asked.values()
        return Flushed(
            conversations=len(every),
            stored_seconds=_seconds(one.stored for one in every),
            waiting_seconds=_seconds(one.left for one in every if one.waits),
            dead_seconds=_seconds(one.dead for one in every),
            deleted_seconds=_seconds(one.deleted for one in every),
            lost_seconds=_seconds(one.left for one in every if not one.waits),
            new_dead_letters=sum(one.letters for one in every),
            done=not self.left,
            problem=problem,
            not_asked=tuple(self.not_asked),
            away=self._masters.away,
            strange=self._masters.strange,
        )

    async def _look(self) -> None:
        """Raises BusUnavailableError after all that could be seen was: somewhere nothing answers."""
        waiting = self.left
        problem: BusUnavailableError | None = None
        for start in range(0, len(waiting), PAGE):
            page = waiting[start : start + PAGE]
            bus = self._masters.bus
            keys = [bus.keys.audio(one) for one in page]
            with translated("XRANGE"):
                answers = await execute(
                    bus.client,
                    [
                        Routed(key, ("XRANGE", key, "-", str(self._asked[one].upto), "COUNT", 1))
                        for one, key in zip(page, keys, strict=True)
                    ],
                )
            # After the buffers: what has left one is in the books by now.
            found = await look_each(bus, page)
            for conversation, answer, now in zip(page, answers, found, strict=True):
                if isinstance(answer, Exception):
                    now = translate_response("XRANGE", answer)  # noqa: PLW2901 - this one came first
                if isinstance(now, BusUnavailableError):
                    problem = now
                elif isinstance(now, Exception):
                    raise now
                else:
                    self._asked[conversation].seen(now)
                    self._asked[conversation].waits = bool(answer)
        if problem is not None:
            raise problem


def _moved(before: int, after: int, most: int) -> int:
    return max(0, min(after - before, most))


def _seconds(samples: Iterable[int]) -> float:
    return sum(samples) / 48_000
