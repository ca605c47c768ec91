"""Reads where the audio of a conversation is: tombstones first, then what waits and what is dead, then the buckets.

In that order, so that what is stored meanwhile shows twice rather than not at all. Reads only, and asks no service.
"""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from audiobus import (
    Bus,
    Conversation,
    ConversationState,
    Cut,
    Entry,
    EntryId,
    dead_letters,
    decode_chunk,
    decode_cut,
)
from audiobus.census import Balance, exact
from audiobus.deletions import marks, noted
from audiobus.errors import BadEntryError, BusError
from audiobus.failures import read as read_failures
from audiobus.letter import Letter
from audiobus.masters import Masters
from audiobus.tombstone import merged_into
from audiostore.errors import AudiostoreError
from audiostore.names import parse_name
from tapedeck.operators.keys import KeysAtHand
from tapedeck.operators.pushers import readers
from tapedeck.operators.spans import moment, times
from tapedeck.operators.where_books import Seconds, deleted_by_the_books, held_less
from tapedeck.operators.where_bucket import stored
from tapedeck.operators.where_ends import Bytes, missing_ends
from tapedeck.operators.where_sessions import sessions
from tapedeck.operators.where_untimed import Untimed, placed
from tapedeck.operators.whereabouts import Piece, Stretch, stretches

PAGE: Final = 96
UNREADABLE: Final = "it does not parse: it will become a dead letter"


class Whereabouts(msgspec.Struct, frozen=True):
    """All there is to say of a conversation."""

    conversation: str
    deleted: bool
    """A tombstone stands."""
    user_deleted_before: str | None
    """The user deleted what they recorded before this, RFC 3339."""
    books: Seconds | None
    """None where Redis does not know the conversation (any more), or its books cannot be read."""
    notes: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    problems: tuple[str, ...]
    """What could not be looked at: the stretches are not all there are. Or the bucket holds less than the books say is stored."""

    @property
    def known(self) -> bool:
        """Whether there ever was such a conversation, as far as can be seen."""
        return bool(self.stretches or self.deleted or self.books)


async def whereabouts(
    bus: Bus, buckets: Mapping[str, str], conversation: Conversation, keys: KeysAtHand
) -> Whereabouts:
    """Where everything is.

    Args:
        bus: Redis.
        buckets: their addresses by `first` and `second`.
        conversation: which.
        keys: open the heads of sealed objects where the bucket keeps no metadata (without the key their names tell), and older objects.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    problems: list[str] = []
    notes: list[str] = []
    deleted = await marks(bus, conversation)
    if deleted.deleted:
        into = await merged_into(bus, conversation)
        what = (
            "it is deleted: a tombstone stands" if into is None else f"it was merged into {into}: look there"
        )
        notes.append(f"{what}, and what is left of it is swept away")
    state = await bus.state(conversation)
    if state.merging:
        notes.append(
            f"a merge has frozen it: it goes into {state.merging}, and nothing is recorded into it until that is done"
        )
    known = await sessions(bus, conversation, state, time.time_ns() // 1_000_000)
    untimed: list[Untimed] = []
    pieces = [one async for one in _waiting(bus, conversation, state, notes, untimed)]
    pieces += [one async for one in _dead(bus, conversation, untimed, notes)]
    books = await _books(bus, conversation, state, problems)
    forbidden = await noted(bus, conversation)
    held: list[Piece] = []
    # The second one first: what moves home meanwhile shows in both, and in none if the first were read first.
    for name, url in reversed(list(buckets.items())):
        try:
            found = await stored(name, url, conversation, keys)
        except AudiostoreError as error:
            problems.append(f"the {name} bucket cannot be read: {error}")
            continue
        names = {one.object for one in found}
        held = found + [one for one in held if one.object not in names]
    pieces += held
    pieces += placed(untimed, pieces, notes)
    timeless = [Bytes(one.id.epoch, one.first_offset, one.id.offset) for one in untimed]
    there = {one.object for one in pieces}
    # What is only given up lies, or lay, under another name: it is not deleted for that.
    lay = [
        Piece(lay_as.start_ms, lay_as.end_ms, "deleted", _deleted(why.at_ms), path)
        for path, why in forbidden.items()
        if path not in there
        and not (why.given_up or why.withdrawn)
        and (lay_as := parse_name(path)) is not None
    ]
    before_ms = deleted.before_ms
    if not problems and not deleted.deleted:
        pieces += missing_ends(pieces, known, lay, timeless=timeless, before_ms=before_ms)
    shown = stretches(pieces, lay)
    if not problems:
        shown = deleted_by_the_books(shown, books)
        if not deleted.deleted and held_less(pieces, books):
            # Once more: what was deleted while the bucket was listed is in the books as that by now.
            later = await _books(bus, conversation, await bus.state(conversation), problems)
            problems += held_less(pieces, _least_stored(books, later))
    return Whereabouts(
        conversation=conversation.tag,
        deleted=deleted.deleted,
        user_deleted_before=moment(before_ms) if before_ms else None,
        books=books,
        notes=tuple(notes),
        stretches=tuple(shown),
        problems=tuple(problems),
    )


def _least_stored(before: Seconds | None, after: Seconds | None) -> Seconds | None:
    """None where the books cannot be read any more."""
    return None if before is None or after is None else min(before, after, key=lambda one: one.stored)


def _deleted(at_ms: int) -> str:
    """`at_ms`: 0 where that was long enough ago."""
    return f"its object was deleted at {moment(at_ms)}" if at_ms else "its object was deleted"


async def _books(
    bus: Bus, conversation: Conversation, state: ConversationState, problems: list[str]
) -> Seconds | None:
    if not state.exists:
        return None
    try:
        found: Balance = await exact(bus, conversation)
    except BusError as error:
        problems.append(f"the books cannot be read: {error}")
        return None
    parts = (found.received, found.stored, found.waiting, found.dead, found.deleted, found.difference)
    return Seconds(*(part / 48_000 for part in parts))


async def _waiting(
    bus: Bus, conversation: Conversation, state: ConversationState, notes: list[str], untimed: list[Untimed]
) -> AsyncIterator[Piece]:
    when = await _when(bus, conversation, state, notes)
    after: EntryId | None = None
    before = state.settled
    while True:
        entries = await bus.read(conversation, count=PAGE, after=after)
        for entry in entries:
            piece = _piece(conversation, entry, "waiting", when.said_of(entry))
            if piece is not None:
                yield piece
            elif entry.chunk is not None:
                first = before.offset if before is not None and before.epoch == entry.id.epoch else 0
                untimed.append(Untimed(entry.id, first, entry.counted_samples, "waiting", UNREADABLE))
            before = entry.id
        if len(entries) < PAGE:
            return
        after = entries[-1].id


@dataclass(frozen=True, slots=True)
class _When:
    """When what waits is stored, as far as that is known."""

    in_time: str
    failed: bool
    cut: Cut | None
    flush: EntryId | None
    flush_reason: str | None

    def said_of(self, entry: Entry) -> str:
        """Of one entry."""
        if self.cut is not None and entry.id <= self.cut.last_id:
            return f"being stored as {self.cut.name.rpartition('/')[2]}; {self.in_time}"
        if not self.failed and self.flush is not None and entry.id <= self.flush:
            return f"storing it was asked for ({self.flush_reason}); {self.in_time}"
        return self.in_time


async def _when(bus: Bus, conversation: Conversation, state: ConversationState, notes: list[str]) -> _When:
    cut = None
    if state.cut is not None:
        try:
            cut = decode_cut(state.cut)
        except BadEntryError as error:
            notes.append(f"its next batch is written down in a way that this build cannot read: {error}")
    failures = await read_failures(bus, conversation)
    due = await bus.command("ZSCORE", bus.keys.due(bus.keys.partition(conversation)), conversation.tag)
    if failures.count:
        in_time = (
            f"storing it failed {times(failures.count)}, last at {moment(failures.at_ms)}: {failures.why}"
        )
    elif due:
        in_time = f"a pusher looks at it by {moment(int(float(due)))}"
        if await readers(Masters(bus)) == 0:
            in_time += ", but none is at work"
    else:
        in_time = "not on due: a pusher finds it within ten minutes"
    return _When(in_time, bool(failures.count), cut, state.flush, state.flush_reason)


async def _dead(
    bus: Bus, conversation: Conversation, untimed: list[Untimed], notes: list[str]
) -> AsyncIterator[Piece]:
    async for found in dead_letters.look(bus, conversation):
        if found.letter is None:
            notes.append(f"dead letter {found.id} cannot be read: {found.defect}")
            continue
        letter, why = found.letter, _why(found.letter)
        piece = _piece(conversation, letter.entry, "dead", why)
        if piece is None:
            untimed.append(Untimed(letter.entry.id, letter.first_offset, letter.samples, "dead", why))
        else:
            yield piece


def _why(letter: Letter) -> str:
    why = f"{letter.reason}; letter {letter.entry.id}"
    return f"{why}; another try is asked for" if dead_letters.marked_ms(letter) is not None else why


def _piece(conversation: Conversation, entry: Entry, state: str, why: str) -> Piece | None:
    """The entry on the timeline; None where it holds no audio, or does not parse."""
    if entry.chunk is None:
        return None
    try:
        chunk = decode_chunk(entry.chunk)
    except BadEntryError:
        return None
    span = chunk.span(conversation.cid, entry.id.epoch, entry.id.offset)
    return Piece(
        span.start_ms,
        span.end_ms,
        "dead" if state == "dead" else "waiting",
        why,
        epoch=span.epoch,
        first_offset=span.first_offset,
        end_offset=span.end_offset,
    )
