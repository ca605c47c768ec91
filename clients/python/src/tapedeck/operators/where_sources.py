"""Reads where the audio of a conversation is: tombstones first, then what waits and what is dead, then the buckets.

In that order, so that what is stored meanwhile shows twice rather than not at all. Reads only, and asks no service.
"""

import asyncio
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
from audiobus.deletions import gone, marks
from audiobus.errors import BadEntryError, BusError
from audiobus.failures import read as read_failures
from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore import open_store, sealing
from audiostore.batch import HEAD_BYTES, BatchFacts, batch_facts
from audiostore.errors import AudiostoreError, BatchFormatError, NotFoundError, SealError
from audiostore.key_ring import KeyRing
from audiostore.legacy import AudioName, parse_audio_name, samples_by_size
from audiostore.names import conversation_prefix, parse_name
from audiostore.sealed_batch import sealed_facts
from audiostore.store import ObjectInfo, Store
from tapedeck.operators.spans import moment
from tapedeck.operators.whereabouts import Piece, Stretch, stretches

PAGE: Final = 96
AT_ONCE: Final = 32
"""Objects looked at at the same time."""


class Seconds(msgspec.Struct, frozen=True):
    """The books of the conversation, in seconds of audio."""

    received: float
    stored: float
    waiting: float
    dead: float
    deleted: float
    difference: float
    """0, unless something is wrong."""


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
    """What could not be looked at: the stretches are not all there are."""

    @property
    def known(self) -> bool:
        """Whether there ever was such a conversation, as far as can be seen."""
        return bool(self.stretches or self.deleted or self.books)


async def whereabouts(
    bus: Bus, buckets: Mapping[str, str], conversation: Conversation, ring: KeyRing
) -> Whereabouts:
    """Where everything is.

    Args:
        bus: Redis.
        buckets: their addresses by `first` and `second`.
        conversation: which.
        ring: opens the heads of sealed objects where the bucket keeps no metadata; without the key their names tell.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    problems: list[str] = []
    notes: list[str] = []
    deleted = await marks(bus, conversation)
    if deleted.deleted:
        notes.append("it is deleted: a tombstone stands, and what is left of it is swept away")
    state = await bus.state(conversation)
    pieces = [one async for one in _waiting(bus, conversation, state, notes)]
    pieces += [one async for one in _dead(bus, conversation, pieces, notes)]
    books = await _books(bus, conversation, state, problems)
    forbidden = await gone(bus, conversation)
    for name, url in buckets.items():
        try:
            pieces += await _stored(name, url, conversation, ring, {one.object for one in pieces})
        except AudiostoreError as error:
            problems.append(f"the {name} bucket cannot be read: {error}")
    there = {one.object for one in pieces}
    lay = [
        Piece(lay_as.start_ms, lay_as.end_ms, "deleted", f"its object was deleted at {moment(at_ms)}", path)
        for path, at_ms in forbidden.items()
        if path not in there and (lay_as := parse_name(path)) is not None
    ]
    before_ms = deleted.before_ms
    return Whereabouts(
        conversation=conversation.tag,
        deleted=deleted.deleted,
        user_deleted_before=moment(before_ms) if before_ms else None,
        books=books,
        notes=tuple(notes),
        stretches=tuple(stretches(pieces, lay)),
        problems=tuple(problems),
    )


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
    bus: Bus, conversation: Conversation, state: ConversationState, notes: list[str]
) -> AsyncIterator[Piece]:
    when = await _when(bus, conversation, state, notes)
    after: EntryId | None = None
    while True:
        entries = await bus.read(conversation, count=PAGE, after=after)
        for entry in entries:
            piece = _piece(conversation, entry, "waiting", when.said_of(entry))
            if piece is not None:
                yield piece
            elif entry.chunk is not None:
                notes.append(f"entry {entry.id} waits and does not parse: it will become a dead letter")
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
            f"storing it failed {failures.count} times, last at {moment(failures.at_ms)}: {failures.why}"
        )
    elif due:
        in_time = f"a pusher looks at it by {moment(int(float(due)))}"
    else:
        in_time = "not on due: a pusher finds it within ten minutes"
    return _When(in_time, bool(failures.count), cut, state.flush, state.flush_reason)


async def _dead(
    bus: Bus, conversation: Conversation, waiting: list[Piece], notes: list[str]
) -> AsyncIterator[Piece]:
    async for found in dead_letters.look(bus, conversation):
        if found.letter is None:
            notes.append(f"dead letter {found.id} cannot be read: {found.defect}")
            continue
        letter = found.letter
        why = f"{letter.reason}; letter {found.id}"
        if dead_letters.marked_ms(letter) is not None:
            why = f"{why}; another try is asked for"
        piece = _piece(conversation, letter.entry, "dead", why)
        if piece is None:
            seconds = letter.samples / 48_000
            notes.append(
                f"dead letter {found.id}: {seconds:.3f} s at a time that cannot be read ({letter.reason})"
            )
            # Where it lay in its session is known: what waits or was stored right before it says the time.
            epoch, first = letter.entry.id.epoch, letter.first_offset
            before = next((one for one in waiting if (one.epoch, one.end_offset) == (epoch, first)), None)
            if before is None:
                continue
            length_ms = letter.samples // 48
            piece = Piece(
                before.end_ms,
                before.end_ms + length_ms,
                "dead",
                why,
                epoch=epoch,
                first_offset=first,
                end_offset=letter.entry.id.offset,
            )
        yield piece


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


async def _stored(
    bucket: str, url: str, conversation: Conversation, ring: KeyRing, known: set[str | None]
) -> list[Piece]:
    store = await asyncio.to_thread(open_store, url)
    try:
        pieces: list[Piece] = []
        page: list[tuple[AudioName, ObjectInfo]] = []
        async for info in store.list(conversation_prefix(conversation.uid, conversation.cid)):
            name = parse_audio_name(info.name)
            if name is not None and info.name not in known:
                page.append((name, info))
            if len(page) == AT_ONCE:
                pieces += await _look_at(bucket, store, page, conversation, ring)
                page = []
        return pieces + await _look_at(bucket, store, page, conversation, ring)
    finally:
        await store.close()


async def _look_at(
    bucket: str,
    store: Store,
    page: list[tuple[AudioName, ObjectInfo]],
    conversation: Conversation,
    ring: KeyRing,
) -> list[Piece]:
    found = await asyncio.gather(*(_facts(store, name, info, ring) for name, info in page))
    pieces: list[Piece] = []
    for (name, info), facts in zip(page, found, strict=True):
        if isinstance(facts, BatchFacts):
            other = facts.conversation_id != conversation.cid
            why = f"recorded into {facts.conversation_id}" if other else ""
            pieces += [
                Piece(
                    span.start_ms,
                    span.end_ms,
                    "stored",
                    why,
                    info.name,
                    bucket,
                    span.epoch,
                    span.first_offset,
                    span.end_offset,
                )
                for span in facts.spans
            ]
        elif facts is not None:
            samples = samples_by_size(name, info.size) if not name.last_ms else None
            end_ms = name.last_ms or name.start_ms + (samples or 0) // 16
            pieces.append(Piece(name.start_ms, end_ms, "stored", facts, info.name, bucket))
    return pieces


async def _facts(store: Store, name: AudioName, info: ObjectInfo, ring: KeyRing) -> BatchFacts | str | None:
    """What the object holds; a word where only its name tells; None where it is gone."""
    if not name.is_batch:
        return "an older format"
    try:
        if info.metadata and "tapedeck-runs" in info.metadata:
            return batch_facts(info.metadata)
        if name.sealed:
            return sealed_facts(await store.get_range(info.name, 0, sealing.HEAD_BYTES), ring, name)
        return batch_facts(read_ogg_headers(await store.get_range(info.name, 0, HEAD_BYTES)))
    except NotFoundError:
        return None
    except (SealError, BatchFormatError, CodecError) as error:
        return f"only its name tells: {error}"
