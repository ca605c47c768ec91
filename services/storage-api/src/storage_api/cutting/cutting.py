"""The deletion of chunks, or of a stretch of time: one request, from what is asked for to nothing of it being left.

Owns the order, each step of which may be the last: what an earlier one left is taken away; what waits in Redis is stored, dropped or discarded; each
object that holds some of it is read, what is left of it put under another name; then, in one step, the new ones count and the old ones do not; then these
are deleted, in every bucket, with what was derived of them; and the buckets are listed again, until there is nothing new. Asked again after a crash
anywhere, it comes to the same end.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Final

from audiobus import EntryId
from audiobus.errors import BusError
from audiobus.merging import booked
from audiobus.replacing import Replacing
from audiobus.state import PreRoll
from audiocodec.span import Span
from audiostore.batch import Batch, BatchFacts
from audiostore.errors import StoreError, TransientStoreError
from servicekit.problem import ProblemError
from storage_api.cutting import waiting
from storage_api.cutting.heard import Before
from storage_api.cutting.meaning import letters_meant
from storage_api.cutting.new_object import NewObject, of_batch, of_older
from storage_api.cutting.place import LostError, Old, Place
from storage_api.cutting.rest import cut_from, older_rest, rest_of
from storage_api.cutting.stretches import Stretches
from storage_api.cutting.wanted import Wanted
from storage_api.errors import SourceGoneError, UnreadableError
from storage_api.live_tail import read_live_tail
from storage_api.older_sound import STEP_48K
from storage_api.services import Services
from storage_api.stored_object import OlderFacts, StoredObject
from storage_api.turns import in_turns
from storage_api.wall_clock import now_ms

UNKNOWN_SAMPLES: Final = 60 * 48_000
"""What an object is believed to last of which nothing tells how long it is."""
PASSES: Final = 12
"""After so many listings there is still something new: somebody goes on putting it."""


@dataclass(slots=True)
class Cut:
    """What was done."""

    objects: int = 0
    """Objects of which audio is deleted."""
    samples: int = 0
    """Audio that is deleted, at 48 kHz."""
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Taken:
    """An object that was read, and of which the rest was put."""

    removed: Stretches
    new: tuple[str, ...]
    """Names of the rest."""
    spans: tuple[Span, ...]
    """What it holds, where it is a batch of ours."""
    counts: bool
    """Whether it is told: not where only its pre-roll goes."""


class Cutting:
    """One request, by somebody who may replace objects of the conversation."""

    def __init__(
        self, services: Services, replacing: Replacing, wanted: Wanted, all_of: Wanted, cut: Cut
    ) -> None:
        """`all_of`: what is wanted with the time after now in it: dead letters, and objects that nobody can read, are judged by that. `cut`: is told."""
        self._services = services
        self._conversation = replacing.conversation
        self._wanted = wanted
        self._all_of = all_of
        self._of_unreadable = all_of.of_unreadable
        self._place = Place(services.bucket.store, replacing)
        self._before = Before()
        self._removed = Stretches()
        self._counted = Stretches()
        self._old: dict[str, _Taken] = {}
        """By name, the objects that are to be replaced next."""
        self._new: set[str] = set()
        self._kept: dict[str, tuple[Stretches, Stretches]] = {}
        """By name of the object, what of it was put: in the clear, and sealed."""
        self._stuck: set[EntryId] = set()
        """Dead letters that cannot be dropped."""
        self._older_times: set[tuple[int, int | None]] = set()
        """What names of older formats that can be read tell of the time, unix ms: a damaged one of the same time held the same audio."""
        self.cut = cut

    async def run(self) -> None:
        """Does it. ProblemError 409 `unreadable`, 504; LostError; MergingError, ConversationDeletedError, BusError; StoreError."""
        await self._remember()
        self.cut.objects += await self._place.begin()
        try:
            await self._replace()
        except (ProblemError, LostError, BusError, StoreError):
            # Where it fails, whoever comes next does it.
            with suppress(LostError, BusError, StoreError):
                await self._place.give_up()
            raise

    async def _remember(self) -> None:
        """What went with objects that somebody left who was killed: a pre-roll may still hold some of it, and the objects are about to be deleted."""
        await self._place.refresh()
        left_behind = {name for name, why in self._place.noted.items() if not why.given_up}
        unfinished = await self._place.replacing.unfinished()
        objects = await self._services.bucket.objects(*self._conversation)
        if not any(one.info.name in left_behind for one in objects):
            return
        tail = await read_live_tail(self._services.bus, self._conversation)

        def remember() -> None:
            had, has = Stretches(), Stretches()
            for stored in objects:
                name, facts = stored.info.name, stored.verdict.facts
                if not isinstance(facts, BatchFacts) or name in unfinished:
                    continue
                if name in left_behind:
                    self._before.add(facts.spans)
                elif name in self._place.forbidden:
                    continue
                for span in facts.spans:
                    (had if name in left_behind else has).add_span(span)
            for live in tail.chunks:
                has.add_span(live.span)
            self._removed.add_all(had.without(has))

        # Here and below: a large conversation is looked through while others are served.
        await asyncio.to_thread(remember)

    async def _replace(self) -> None:
        for _ in range(PASSES):
            # In this order. What an object holds must have left the buffer, or it would be cut anew once the object is noted; with what leaves it comes a
            # pre-roll; whatever these two give up counts for nobody; and only then it is told what there is.
            fresh = await self._store(self._old_spans())
            # Before objects take the place of others: afterwards nobody could tell what it holds.
            fresh = await waiting.drop_preroll(self._services, self._conversation, self._is_heard) or fresh
            # Before the buckets are listed: one that is stored meanwhile is in the next listing.
            letters = await waiting.letters_of(self._services.bus, self._conversation, self._all_of)
            fresh = await self._look() or fresh
            # Nothing of them goes before it is known that all objects can be cut.
            if await self._discard(letters) or fresh:
                continue
            if not self._old:
                # Nothing is left of it, if nobody else has put a rest meanwhile that was to go as a whole.
                await self._place.keep()
                return
            if await waiting.await_cuts(self._services, self._conversation, self._old.keys()):
                continue
            await self._put_in_place()
        raise TransientStoreError("delete a part: objects come as fast as they are replaced; try again")

    async def _discard(self, letters: Mapping[EntryId, Span]) -> bool:
        """Deletes these dead letters; whether there was one that could be, or is gone by now. By its time each means itself, and nothing else, from then on."""
        found = False
        some = {one: span for one, span in letters.items() if one not in self._stuck}
        await self._place.note(letters_meant(some, now_ms()))
        for letter in some:
            samples = await waiting.discard_letter(self._services, self._conversation, letter)
            if samples is None:
                self._stuck.add(letter)
                continue
            found = True
            self.cut.samples += samples
        return found

    async def _store(self, spans: Iterable[Span]) -> bool:
        return await waiting.store_what_waits(self._services, self._conversation, self._wanted, spans)

    def _old_spans(self) -> list[Span]:
        return [span for one in self._old.values() for span in one.spans]

    async def _objects(self) -> list[StoredObject]:
        objects = await self._services.bucket.objects(*self._conversation)
        return [one for one in objects if one.info.name not in self._place.forbidden]

    async def _look(self) -> bool:
        """Lists, and puts what is left of each object that was not seen before; whether there was one, or something of it still waited."""
        # Also what was given up in this very request: its audio is cut anew.
        await self._place.refresh()
        await self._without_those_that_went()
        by_name = await asyncio.to_thread(self._by_name, await self._objects())
        fresh = False
        for goes in (self._concerns, self._hears):
            found = await asyncio.to_thread(self._found, by_name, goes)
            # Before what is left of them is put: nobody may settle what waits by an object that does not count yet.
            if found and await self._store(_spans(chain.from_iterable(found.values()))):
                return True
            async for name, objects in in_turns(list(found.items())):
                await self._take_out(name, objects, counts=goes == self._concerns)
                fresh = True
        return fresh

    async def _without_those_that_went(self) -> None:
        """An object that others have deleted, or given up: its audio is counted, or stored, elsewhere, and what is left of it must not stay."""
        for name in [one for one in self._old if one in self._place.forbidden]:
            self._kept.pop(name, None)
            await self._place.give_up(self._old.pop(name).new)

    def _by_name(self, objects: Iterable[StoredObject]) -> dict[str, list[StoredObject]]:
        """What was listed, by name; and what it tells of others is remembered."""
        by_name: dict[str, list[StoredObject]] = {}
        for stored in objects:
            by_name.setdefault(stored.info.name, []).append(stored)
            if isinstance(stored.verdict.facts, BatchFacts):
                self._before.add(stored.verdict.facts.spans)
            elif stored.reason is None:
                self._older_times.add((stored.name.start_ms, stored.name.last_ms))
        return by_name

    def _found(
        self, by_name: dict[str, list[StoredObject]], goes: Callable[[StoredObject], bool]
    ) -> dict[str, list[StoredObject]]:
        """The objects of which some goes, and that nobody has seen yet."""
        known = self._old.keys() | self._new
        return {
            name: objects
            for name, objects in by_name.items()
            if name not in known and any(goes(one) for one in objects)
        }

    async def _take_out(self, name: str, objects: list[StoredObject], *, counts: bool) -> None:
        """Puts what is left of the objects of one name; nothing, where one of them is gone by now: the next listing shows what became of it."""
        removed, kept = Stretches(), (Stretches(), Stretches())
        put: list[str] = []
        try:
            for stored in objects:
                gone, left = await self._left(stored)
                removed.add_all(gone)
                for new in left:
                    put.append(await self._place.put(new))
                    for span in new.spans:
                        kept[new.name.sealed].add_span(span)
        except SourceGoneError:
            await self._place.give_up(put)
            return
        if put:
            self._kept[name] = kept
        self._new.update(put)
        self._removed.add_all(removed)
        self._old[name] = _Taken(removed, tuple(put), _spans(objects), counts)

    async def _left(self, stored: StoredObject) -> tuple[Stretches, list[NewObject]]:
        """What goes of an object, and what is left of it. SourceGoneError; ProblemError 409 where that cannot be known."""
        facts, name, bucket = stored.verdict.facts, stored.name, self._services.bucket
        if self._goes(stored):
            return _all_in(stored), []
        if stored.reason is not None or facts is None:
            raise _unreadable()
        keys, run = bucket.keys, self._services.workers.run
        try:
            if isinstance(facts, OlderFacts):
                pcm = await bucket.older(stored)
                pieces = older_rest(name.start_ms, pcm, self._wanted)
                kept = sum(len(piece.pcm) for piece in pieces)
                gone, secret = _older(stored, (len(pcm) - kept) // 2 * STEP_48K), keys.legacy_secret
                return gone, [
                    await run(
                        of_older, name.uid, name.conversation_id, piece, sealed=name.sealed, secret=secret
                    )
                    for piece in pieces
                ]
            batch = await bucket.batch(stored)
        except UnreadableError as error:
            raise _unreadable() from error
        rest = await run(rest_of, batch, self._wanted, self._clear(facts))
        ring = keys.ring if name.sealed else None
        # A mover may have brought it home and not deleted it where it was: what is left of both is put once.
        new = [one for one in rest if not self._is_kept(one, sealed=name.sealed)]
        return cut_from(batch.spans, rest), [
            await run(of_batch, name.uid, name.conversation_id, one, ring) for one in new
        ]

    def _is_kept(self, batch: Batch, *, sealed: bool) -> bool:
        """Whether all of it lies in what was put before."""
        missing = cut_from(batch.spans, ())
        for kept in self._kept.values():
            missing = missing.without(kept[sealed])
        return not missing.samples()

    async def _put_in_place(self) -> None:
        here = await booked(self._services.bus, self._conversation)
        old, counted, samples = await asyncio.to_thread(self._order, here)
        self.cut.samples += samples
        await self._place.replace(old)
        self._counted = counted
        names = list(self._old)
        self.cut.objects += sum(one.counts for one in self._old.values())
        self._old = {}
        await self._place.delete(names)

    def _order(self, here: Collection[str]) -> tuple[list[Old], Stretches, int]:
        """In which order objects go, what is counted with all of them, and how many samples of it were not before.

        `here`: the conversations that were recorded into this one's books.
        """
        # Those first of which only the pre-roll goes: once the audio of it is deleted, nobody could tell that it is.
        taken = sorted(self._old.items(), key=lambda item: item[1].counts)
        old: list[Old] = []
        counted, samples = Stretches(), 0
        counted.add_all(self._counted)
        # What several of them hold counts with the last: until that is noted it is stored.
        for name, one in reversed(taken):
            more = one.removed.without(counted)
            counted.add_all(one.removed)
            # What was copied from another conversation was received there, unless that went into this one.
            old.append(Old(name, more.samples(here), one.new))
            samples += more.samples()
        return old[::-1], counted, samples

    def _goes(self, stored: StoredObject) -> bool:
        """Whether the object goes as a whole, so that it need not be read."""
        if self._named(stored):
            return True
        if stored.reason is not None:
            return self._has_twin(stored) or self._of_unreadable.covers(stored.start_48k, _told_end(stored))
        return all(self._wanted.covers_span(piece.span) for piece in stored.pieces)

    def _has_twin(self, stored: StoredObject) -> bool:
        """Whether the same audio can be read beside it. Not of what may be damaged by the line alone: that may hold more."""
        if stored.reason != "damaged" or stored.verdict.passing:
            return False
        return (stored.name.start_ms, stored.name.last_ms) in self._older_times

    def _concerns(self, stored: StoredObject) -> bool:
        """Whether some of it goes."""
        return self._named(stored) or self._is_touched(stored)

    def _named(self, stored: StoredObject) -> bool:
        return self._wanted.names(stored.key, () if stored.reason is not None else _spans([stored]))

    def _is_touched(self, stored: StoredObject) -> bool:
        if stored.reason is not None:
            return self._of_unreadable.touches(stored.start_48k, _told_end(stored))
        return any(self._wanted.touches_span(piece.span) for piece in stored.pieces)

    def _hears(self, stored: StoredObject) -> bool:
        facts = stored.verdict.facts
        return stored.reason is None and isinstance(facts, BatchFacts) and self._clear(facts) is not None

    def _clear(self, facts: BatchFacts) -> int | None:
        first = facts.spans[0]
        if first.starts or not facts.packets[0][0]:
            return None
        return self._before.clear_of(
            self._removed, first.conversation, first.epoch, first.first_offset, facts.pre_skip - first.lead
        )

    def _is_heard(self, preroll: PreRoll) -> bool:
        """Whether the pre-roll in Redis holds some of what goes."""
        samples = waiting.preroll_samples(preroll)
        where = (self._conversation.cid, preroll.epoch, preroll.next_offset)
        return self._before.clear_of(self._removed, *where, samples) is not None


def _spans(objects: Iterable[StoredObject]) -> tuple[Span, ...]:
    """What they hold, where they are batches of ours."""
    facts = (one.verdict.facts for one in objects)
    return tuple(span for one in facts if isinstance(one, BatchFacts) for span in one.spans)


def _told_end(stored: StoredObject) -> int:
    """Where an object that cannot be read ends, at the latest as far as is known. Its name is rounded down, and may be all that tells."""
    if stored.end_48k <= stored.start_48k:
        return stored.start_48k + UNKNOWN_SAMPLES
    return stored.end_48k if isinstance(stored.verdict.facts, BatchFacts) else stored.end_48k + 48


def _all_in(stored: StoredObject) -> Stretches:
    """All audio of an object, as far as it is known."""
    facts = stored.verdict.facts
    if isinstance(facts, OlderFacts):
        return _older(stored, facts.samples if stored.reason is None else 0)
    found = Stretches()
    for span in facts.spans if facts else ():
        found.add_span(span)
    return found


def _older(stored: StoredObject, samples: int) -> Stretches:
    """So much of an object that belongs to no session."""
    found = Stretches()
    found.add((f"{stored.info.name}/{stored.second}", 0, 0), 0, samples)
    return found


def _unreadable() -> ProblemError:
    detail = (
        "an object that holds some of it cannot be read, so that nothing can be cut out of it, and not everything is deleted: see `unreadable` in "
        "…/chunks; delete that object as a whole by its timestamp, or delete a stretch that covers it, and ask again"
    )
    return ProblemError(409, "unreadable", detail)
