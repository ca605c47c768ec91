"""Dead letters, for operators: what they are, and the waiting until a second try is through. The work behind `tapedeck dead`."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec

from audiobus import Conversation, EntryId, dead_letters, decode_chunk
from audiobus.dead_letters import Found, last_try, marked_ms, tries
from audiobus.errors import BadEntryError, BusUnavailableError, NotKnownError
from audiobus.letter import read_letter
from tapedeck.operators.masters import Away, Masters
from tapedeck.operators.spans import moment, times

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
LOOKED_AT: Final = 100
"""Letters of a conversation that are read in one look."""


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter."""

    conversation: str
    """UID/CID."""
    id: str
    """Of the entry: `<epoch>-<end offset>`."""
    seconds: float
    """Audio that was counted for it."""
    buried_at: str
    """RFC 3339."""
    reason: str
    retry_asked_at: str | None
    """RFC 3339; None where no other try is asked for."""
    tries: int
    """Second tries that failed."""
    last_try: str
    """What is in the way of the one that is asked for, or what the last one failed of."""
    bytes: int
    parses: bool
    """Whether this build can read it. Another try would then most likely succeed."""
    start: str | None
    """Where its audio begins, RFC 3339; None where that cannot be read."""
    is_letter: bool = True
    """False where nothing but the name of the field can be read: damaged, or put there by somebody else. It can be dropped."""

    @property
    def state(self) -> str:
        """In a few words, for people."""
        if self.retry_asked_at is not None:
            return f"another try is asked for{': ' + self.last_try if self.last_try else ''}"
        return f"tried again {times(self.tries)}: {self.last_try}" if self.tries else ""


def describe(conversation: Conversation, found: Found) -> DeadLetter:
    """What there is to say of it."""
    letter = found.letter
    if letter is None:
        return DeadLetter(
            conversation=conversation.tag,
            id=found.id,
            seconds=0.0,
            buried_at="",
            reason=found.defect,
            retry_asked_at=None,
            tries=0,
            last_try="",
            bytes=0,
            parses=False,
            start=None,
            is_letter=False,
        )
    asked_ms = marked_ms(letter)
    start = None
    parses = False
    try:
        if letter.entry.chunk is not None:
            chunk = decode_chunk(letter.entry.chunk)
            id_ = letter.entry.id
            start = moment(chunk.span(conversation.cid, id_.epoch, id_.offset).start_ms)
            parses = chunk.first_offset <= id_.offset
    except (BadEntryError, ValueError):
        parses = False
    return DeadLetter(
        conversation=conversation.tag,
        id=found.id,
        seconds=letter.samples / 48_000,
        buried_at=moment(letter.at_ms),
        reason=letter.reason,
        retry_asked_at=None if asked_ms is None else moment(asked_ms),
        tries=tries(letter),
        last_try=last_try(letter),
        bytes=sum(len(value) for value in letter.entry.fields.values()),
        parses=parses,
        start=start,
    )


async def dead(masters: Masters, conversation: Conversation | None) -> list[DeadLetter]:
    """Those of one conversation, or of all, in the order of conversations and ids.

    Raises:
        BusUnavailableError: no server answers; of one conversation, its own.
    """
    if conversation is not None:
        return [describe(conversation, found) async for found in dead_letters.look(masters.bus, conversation)]
    wanted = sorted({one async for page in masters.graves() for one in page}, key=lambda one: one.tag)
    letters: list[DeadLetter] = []
    for one in wanted:
        try:
            letters += [describe(one, found) async for found in dead_letters.look(masters.bus, one)]
        except BusUnavailableError as error:
            masters.lost(masters.bus.keys.dead(one), error)
    return letters


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


class Retry:
    """Letters that are tried again, and how far that has come."""

    def __init__(self, masters: Masters) -> None:
        self._masters = masters
        self._asked: dict[Conversation, set[str]] = {}
        self._not_asked: list[str] = []
        self.asked = self.stored = self.failed = 0

    @property
    def waiting(self) -> int:
        """Letters that are not through."""
        return self.asked - self.stored - self.failed

    async def ask(self, conversation: Conversation, id_: str) -> None:
        """Marks a letter. On a cluster one whose master does not answer is among those that were not asked for.

        Raises:
            BusUnavailableError: not known whether it is marked.
        """
        bus = self._masters.bus
        now_ms = time.time_ns() // 1_000_000
        try:
            marked = await dead_letters.mark(bus, conversation, EntryId.parse(id_), now_ms)
        except BusUnavailableError as error:
            self._masters.lost(bus.keys.dead(conversation), error)
            self.leave(conversation, id_, str(error))
        except (BadEntryError, NotKnownError, ValueError) as error:
            self.leave(conversation, id_, str(error))
        else:
            if marked:
                self._asked.setdefault(conversation, set()).add(id_)
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
            for conversation, ids in self._asked.items():
                try:
                    await self._look(conversation, ids)
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
        )

    async def _look(self, conversation: Conversation, ids: set[str]) -> None:
        bus = self._masters.bus
        there = {one.decode() for one in await bus.command("HKEYS", bus.keys.dead(conversation))}
        self.stored += len(ids - there)
        ids &= there
        # The letters hold audio: only as many are read as say whether it goes on.
        for one in sorted(ids, key=EntryId.parse)[:LOOKED_AT]:
            data = await bus.command("HGET", bus.keys.dead(conversation), one)
            if data is not None and not _is_marked(one, data):
                self.failed += 1
                ids.discard(one)


def _is_marked(id_: str, data: bytes) -> bool:
    try:
        return marked_ms(read_letter(id_, data)) is not None
    except BadEntryError:
        return False  # it was damaged since, and nobody tries it any more
