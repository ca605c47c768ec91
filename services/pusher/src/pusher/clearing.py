"""Clears what was deleted out of Redis: all of a conversation under a tombstone, and what a user recorded before theirs.

Owns which entries and dead letters are the deleted ones. What lies in the bucket is `sweeper`'s. It needs no bucket, so audio that was deleted
leaves Redis also while the bucket is away.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from audiobus.answers import Marks
from audiobus.bus import Bus
from audiobus.chunk import HEAD_BYTES, made_ms
from audiobus.conversation import Conversation
from audiobus.cut import decode_cut
from audiobus.dead_letters import look
from audiobus.deletions import Swept, discard, expunge, sweep
from audiobus.entry import Entry
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError
from audiobus.state import ConversationState, PreRoll
from pusher.books import Books
from pusher.usage_notes import UsageNotes

log = logging.getLogger(__name__)

PAGE: Final = 96
LATE_MS: Final = 600_000
"""A chunk that was made before a user's tombstone is in the buffer by then: so long may `listen` have waited for Redis."""
PREROLL_MS: Final = 10_000
"""The longest pre-roll."""
REMEMBERED: Final = 50_000
"""Conversations that are remembered to be clear; one that is forgotten costs reading its buffer."""
AT_ONCE: Final = 500
"""Entries dropped in one step."""


class Cleared(Enum):
    """What was found."""

    NOTHING = auto()
    """Nothing of it is deleted: go on."""
    SOME = auto()
    """A part was deleted: the state has changed."""
    ALL = auto()
    """A tombstone stands."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """That a buffer was clear."""

    before_ms: int
    """Of what was recorded before its user's tombstone, unix ms."""
    newest: EntryId | None
    """Up to here."""
    over: bool
    """Whether nothing from before that could come any more."""

    def stays_clear(self, before_ms: int, state: ConversationState) -> bool:
        """Whether it must still be: there is no later tombstone, and Redis has not gone back (a failover, a backup)."""
        back = self.newest is not None and (state.newest is None or state.newest < self.newest)
        return self.over and self.before_ms == before_ms and not back


@dataclass(slots=True)
class Clearing:
    """Clears any conversation."""

    bus: Bus
    books: Books
    usage: UsageNotes
    _seen: OrderedDict[Conversation, _Seen] = field(default_factory=OrderedDict)

    def before_ms(self, conversation: Conversation) -> int:
        """The user's tombstone that its buffer was last cleared by, unix ms; 0 for none."""
        seen = self._seen.get(conversation)
        return seen.before_ms if seen else 0

    def forget(self, conversation: Conversation) -> None:
        """Has its buffer looked through again."""
        self._seen.pop(conversation, None)

    async def clear(
        self, conversation: Conversation, state: ConversationState, now_ms: int, marks: Marks | None = None
    ) -> Cleared:
        """Looks for tombstones, and drops what they delete, but for the rest of a conversation under one of its own (`sweep`).

        `marks`: the tombstones, where they were read with the state.

        Raises:
            BadEntryError: a cut, or a tombstone, that is none.
            BusUnavailableError: Redis does not answer.
        """
        found = marks or await self.bus.marks(conversation)
        if found.deleted:
            return Cleared.ALL
        if not found.before_ms:
            self._seen.pop(conversation, None)
            return Cleared.NOTHING
        seen = self._seen.get(conversation)
        if seen is not None and seen.stays_clear(found.before_ms, state):
            return Cleared.NOTHING
        some = await self._drop_entries(conversation, state, found.before_ms, now_ms)
        await self._drop_letters(conversation, found.before_ms, now_ms)
        if some:
            return Cleared.SOME
        self._seen.pop(conversation, None)
        self._seen[conversation] = _Seen(
            found.before_ms, state.newest, over=now_ms > found.before_ms + LATE_MS
        )
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return Cleared.NOTHING

    async def sweep(self, conversation: Conversation, now_ms: int) -> Swept | None:
        """Empties buffer and dead letters of a conversation under a tombstone; None where none stands (any more)."""
        # Nobody else may carry on what it used: it is not drained any more.
        newest = EntryId.parse_or_none(
            await self.bus.command("HGET", self.bus.keys.conv(conversation), "newest")
        )
        await self.usage.note(self.bus, conversation, newest)
        swept = await sweep(self.bus, conversation, now_ms)
        if swept is not None:
            self.books.deleted(swept.samples)
        return swept

    async def _drop_entries(
        self, conversation: Conversation, state: ConversationState, before_ms: int, now_ms: int
    ) -> bool:
        """Drops what was recorded before that. Whether there was anything, or another cut was written down meanwhile."""
        entries = await self._deleted_entries(conversation, before_ms)
        preroll = state.preroll is not None and _ends_ms(state.preroll) < before_ms + PREROLL_MS
        if not entries and not preroll:
            return False
        cut = state.cut
        name = decode_cut(cut).name if cut else ""
        ids = list(entries)
        for start in range(0, max(1, len(ids)), AT_ONCE):
            some = {one: entries[one] for one in ids[start : start + AT_ONCE]}
            samples = await expunge(
                self.bus, conversation, some, cut=cut, name=name, preroll=preroll, now_ms=now_ms
            )
            if samples is None:
                break
            self.books.deleted(samples)
            cut = None  # it went with the first of them
        return True

    async def _deleted_entries(self, conversation: Conversation, before_ms: int) -> dict[EntryId, int]:
        """The entries that were made before that, with their samples, and the openings before them. In order.

        To the end: by another clock the next one may be older. What is asked before a cut is written down (`Deleting.is_deleted`) is the same.
        """
        found: dict[EntryId, int] = {}
        openings: list[Entry] = []
        at_ms = 0
        after: EntryId | None = None
        while True:
            page = await self.bus.read(conversation, count=PAGE, after=after)
            for entry in page:
                if entry.chunk is None:
                    openings.append(entry)
                    continue
                # One that does not say is as old as the one before, or as its session.
                at_ms = _made_ms(entry, at_ms)
                if at_ms < before_ms:
                    found.update((one.id, one.counted_samples) for one in (*openings, entry))
                openings = []
            if len(page) < PAGE:
                return found
            after = page[-1].id

    async def _drop_letters(self, conversation: Conversation, before_ms: int, now_ms: int) -> None:
        """Drops dead letters that were made before that."""
        old = [
            one.letter.entry.id
            async for one in look(self.bus, conversation)
            if one.letter is not None and _made_ms(one.letter.entry, 0) < before_ms
        ]
        for entry_id in old:
            try:
                self.books.deleted(await discard(self.bus, conversation, entry_id, now_ms) or 0)
            except BadEntryError as error:
                # Another letter of its session is none of ours: somebody put it there by hand. The rest goes on.
                log.warning("a dead letter that was deleted cannot be dropped", extra={"error": str(error)})


def _made_ms(entry: Entry, before_ms: int) -> int:
    """When an entry with audio was made, unix ms; where it does not say, as the one before it, at the earliest with its session."""
    made = made_ms((entry.chunk or b"")[:HEAD_BYTES])
    return max(before_ms, entry.id.epoch) if made is None else made


def _ends_ms(preroll: PreRoll) -> int:
    return preroll.run_start_ms + preroll.next_sample // 48
