"""Dead letters tried again: the wish, and the waiting until they are through. The work behind `tapedeck dead retry`.

Owns what is told of it: by the books, so that a letter that somebody dropped meanwhile is not called stored.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from audiobus import Conversation, EntryId, dead_letters
from audiobus.census import Balance
from audiobus.dead_letters import marked_ms
from audiobus.errors import BadEntryError, BusError, BusUnavailableError, NotKnownError
from audiobus.letter import read_letter
from audiobus.look import look_each
from audiobus.masters import Away, Masters
from tapedeck.operators.letters import DeadLetter

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
LOOKED_AT: Final = 100
"""Letters of a conversation that are read in one look."""
SNAPSHOTS: Final = 5
"""Times that books and letters are read together in one look; if they moved each time, the next look has to do."""
MOST_SUMS: Final = 1_000
"""Sums of samples that are tried to tell which letters were deleted: nearly all letters hold the same."""


class Retried(msgspec.Struct, frozen=True):
    """What came of another try."""

    asked: int
    stored: int
    failed: int
    """Still not storable: told in each letter."""
    waiting: int
    """Not tried to the end in time; it goes on."""
    not_asked: tuple[str, ...] = ()
    """Letters that could not be marked: `UID/CID ID: why`."""
    away: tuple[Away, ...] = ()
    """Masters of a cluster that do not answer."""
    problem: str = ""
    """Why it is not known how far it is."""
    deleted: int = 0
    """Were deleted meanwhile."""
    lost: int = 0
    """Are gone, and the books do not say where: Redis lost them."""


@dataclass(slots=True)
class _Asked:
    """The letters of one conversation that are tried again."""

    books: Balance
    """As they stood when it was looked for what is gone last."""
    samples: dict[str, int] = field(default_factory=dict)
    """What was counted for each that is not through, by id."""


class Retry:
    """Letters that are tried again, and how far that has come."""

    def __init__(self, masters: Masters) -> None:
        self._masters = masters
        self._asked: dict[Conversation, _Asked] = {}
        self._not_asked: list[str] = []
        self.asked = self.stored = self.failed = self.deleted = self.lost = 0

    @property
    def waiting(self) -> int:
        """Letters that are not through."""
        return self.asked - self.stored - self.failed - self.deleted - self.lost

    async def ask(self, conversation: Conversation, letter: DeadLetter) -> None:
        """Marks a letter. On a cluster one whose master does not answer is among those that were not asked for.

        Raises:
            BusUnavailableError: not known whether it is marked.
        """
        bus = self._masters.bus
        now_ms = time.time_ns() // 1_000_000
        try:
            if conversation not in self._asked:
                # Before the first mark: what leaves from then on is in what moves in the books.
                self._asked[conversation] = _Asked(await self._books(conversation))
            marked = await dead_letters.mark(bus, conversation, EntryId.parse(letter.id), now_ms)
        except BusUnavailableError as error:
            self._masters.lost(bus.keys.dead(conversation), error)
            self.leave(conversation, letter.id, str(error))
        except (BadEntryError, NotKnownError, ValueError) as error:
            self.leave(conversation, letter.id, str(error))
        else:
            if marked:
                self._asked[conversation].samples[letter.id] = round(letter.seconds * 48_000)
                self.asked += 1

    def leave(self, conversation: Conversation, id_: str, why: str) -> None:
        """It is not asked for: nobody could store it."""
        self._not_asked.append(f"{conversation.tag} {id_}: {why}")

    async def wait(self, within_s: float | None, seen: Callable[["Retry"], None]) -> Retried:
        """Returns when all are through, or the time is over. The marks stand: that Redis does not answer for a while ends nothing."""
        deadline = None if within_s is None else time.monotonic() + within_s
        pause = FIRST_PAUSE_S
        problem = ""
        while self.waiting and (deadline is None or time.monotonic() < deadline):
            problem = ""
            for conversation, asked in self._asked.items():
                try:
                    await self._look(conversation, asked)
                except BusUnavailableError as error:
                    problem = str(error)
            seen(self)
            if self.waiting:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 1.5)
        return Retried(
            self.asked,
            self.stored,
            self.failed,
            self.waiting,
            tuple(self._not_asked),
            self._masters.away,
            problem,
            self.deleted,
            self.lost,
        )

    async def _look(self, conversation: Conversation, asked: _Asked) -> None:
        if not asked.samples or not await self._count_gone(conversation, asked):
            return
        bus = self._masters.bus
        # The letters hold audio: only as many are read as say whether it goes on.
        for one in sorted(asked.samples, key=EntryId.parse)[:LOOKED_AT]:
            data = await bus.command("HGET", bus.keys.dead(conversation), one)
            if data is not None and not _is_marked(one, data):
                self.failed += 1
                del asked.samples[one]

    async def _count_gone(self, conversation: Conversation, asked: _Asked) -> bool:
        """Sees what became of those that are gone; False where everything moved while it was read."""
        key = self._masters.bus.keys.dead(conversation)
        books = await self._books(conversation)
        for _ in range(SNAPSHOTS):
            there = set(await self._masters.bus.command("HKEYS", key))
            before, books = books, await self._books(conversation)
            if _moves(books) == _moves(before):
                break
        else:
            return False
        gone = {one: asked.samples.pop(one) for one in list(asked.samples) if one.encode() not in there}
        deleted = those_deleted(gone, books.deleted - asked.books.deleted)
        stored = books.stored - asked.books.stored
        for samples in (samples for one, samples in gone.items() if one not in deleted):
            if stored >= samples:
                stored -= samples
                self.stored += 1
            else:
                self.lost += 1
        self.deleted += len(deleted)
        asked.books = books
        return True

    async def _books(self, conversation: Conversation) -> Balance:
        [found] = await look_each(self._masters.bus, [conversation])
        if isinstance(found, BusError):
            raise found
        return found.balance


def those_deleted(gone: Mapping[str, int], deleted: int) -> set[str]:
    """Which of the letters that are gone, with the samples of each, `deleted` samples more in the books speak of. Pure.

    Those that come to just that; where none do, something else was deleted besides, and as many are taken for deleted as it may have been.
    """
    if deleted <= 0:
        return set()
    sums: dict[int, tuple[str, ...]] = {0: ()}
    for one, samples in gone.items():
        for total, those in list(sums.items())[:MOST_SUMS]:
            sums.setdefault(total + samples, (*those, one))
        if deleted in sums:
            return set(sums[deleted])
    found = set()
    for one, samples in gone.items():
        if samples <= deleted:
            deleted -= samples
            found.add(one)
    return found


def _moves(books: Balance) -> tuple[int, int, int]:
    """What is another number after any letter came or went."""
    return books.stored, books.dead, books.deleted


def _is_marked(id_: str, data: bytes) -> bool:
    try:
        return marked_ms(read_letter(id_, data)) is not None
    except BadEntryError:
        return False  # it was damaged since, and nobody tries it any more
