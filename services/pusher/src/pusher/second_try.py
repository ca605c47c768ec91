"""The second try of dead letters: those that an operator marked get to the bucket, as objects of their own.

Owns the order: choose, write the letters' cut down, look for a tombstone, put create-only, and only then settle (`audiobus.dead_letters`).
What is in its way is told in the letters and tried again; it never delays what the conversation records on, and it buries nothing.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import msgspec

from audiobus import dead_letters as dead
from audiobus.answers import ConversationGone, CutStands
from audiobus.bus import Bus
from audiobus.chunk import HEAD_BYTES, made_ms
from audiobus.conversation import Conversation
from audiobus.cut import Stored
from audiobus.deletions import gone, marks
from audiobus.errors import BadEntryError, BusContractError
from audiobus.hints import Hints
from audiobus.letter import Letter
from audiobus.letters_cut import VERSION, LettersCut, decode_letters_cut, letters_of, standing
from audiobus.replacing import not_counting
from audiobus.state import STATE_FIELDS, ConversationState
from audiostore.errors import AudiostoreError, StoreError
from audiostore.names import BatchName
from pusher.arrived import Arrived, read_entry
from pusher.batch_builder import Built
from pusher.bucket_search import stored_between
from pusher.buckets import Buckets
from pusher.cutter import Limits, Take, decide
from pusher.errors import BuildError, PusherError
from pusher.free_name import later, write_letters_down
from pusher.guarded_store import without_names
from pusher.letter_metrics import FAILED, FOUND, STORED, WAITS
from pusher.maker import Maker
from pusher.metrics import PusherMetrics
from pusher.name_owner import own_name
from pusher.protection import STANDARD, must_seal
from pusher.store_put import Outcome, put
from pusher.stored_ranges import covers, merged

log = logging.getLogger(__name__)

AT_ONCE: Final = 128
"""Letters that are looked at for one object: a minute of audio in chunks of a second, and some."""
AGAIN_MS: Final = 60_000
"""After a try that something was in the way of."""
ROUNDS: Final = 64
"""Objects in one turn; then others have theirs."""

_TROUBLE = (AudiostoreError, PusherError, BadEntryError, BusContractError)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Letters that enter one object, and the object."""

    cut: LettersCut
    letters: tuple[Letter, ...]
    built: Built


@dataclass(slots=True)
class SecondTry:
    """Tries letters of any conversation; its lease is held by whoever calls."""

    bus: Bus
    hints: Hints
    buckets: Buckets
    maker: Maker
    limits: Limits
    metrics: PusherMetrics
    now_ms: Callable[[], int]
    stopping: Callable[[], bool] = lambda: False
    """Asked between two objects: whether to leave the rest to others."""

    async def run(self, conversation: Conversation) -> None:
        """Stores what is marked, as far as that goes now. When it returns, the conversation is on `due`.

        For what is left; or for the look after the last letter, for it may have stayed on its user's list for its letters alone.

        Raises:
            BusUnavailableError: Redis went away; nothing was lost by that.
        """
        again_ms = AGAIN_MS
        try:
            for _ in range(ROUNDS):
                seen = await dead.asked_for(self.bus, conversation)
                raw = await standing(self.bus, conversation)
                if seen is None and raw is None:
                    again_ms = 0
                    break
                if self.stopping():
                    again_ms = 0
                    break
                if not self.buckets.well:
                    break
                if raw is not None:
                    going_on = await self._carry_out(conversation, raw)
                else:
                    going_on = await self._next(conversation, seen or b"")
                if not going_on:
                    again_ms = 0
                    break
            else:
                again_ms = 0
        except _TROUBLE as error:
            why = f"{type(error).__name__}: {without_names(error)}"
            self.metrics.letters.tries[WAITS].inc()
            log.warning("dead letters could not be stored: they are tried again", extra={"error": why})
            await self._tell(conversation, str(error))
        await self.hints.due(conversation, self.now_ms() + again_ms)

    async def _tell(self, conversation: Conversation, why: str) -> None:
        """In each letter that waits for it."""
        for letter in await dead.marked(self.bus, conversation, AT_ONCE):
            if dead.last_try(letter) != why:
                await dead.waits(self.bus, conversation, [letter.entry.id], why)

    async def _next(self, conversation: Conversation, seen: bytes) -> bool:
        """Chooses, and stores. False where nothing is marked any more, or all of it is deleted."""
        letters = await dead.marked(self.bus, conversation, AT_ONCE)
        if not letters:
            return not await dead.none_left(self.bus, conversation, seen)
        readable = await self._read(conversation, letters)
        if not readable:
            return True
        since = await dead.moment(self.bus, conversation)
        chosen = await self._choose(conversation, readable)
        if chosen is None:
            return True
        answer, cut = await write_letters_down(
            self.bus, conversation, chosen.cut, since=since, now_ms=self.now_ms()
        )
        match answer:
            case CutStands():
                return await self._store(conversation, replace(chosen, cut=cut))
            case ConversationGone():
                return False
        return True

    async def _read(
        self, conversation: Conversation, letters: Sequence[Letter]
    ) -> list[tuple[Letter, Arrived]]:
        """Those that parse. The others are told why not, and no longer marked."""
        readable = []
        for letter in letters:
            try:
                # What was counted as dead is what is counted as stored.
                arrived = replace(read_entry(conversation.cid, letter.entry), counted_samples=letter.samples)
            except BadEntryError as error:
                await self._failed(conversation, letter, str(error))
            else:
                readable.append((letter, arrived))
        return readable

    async def _failed(self, conversation: Conversation, letter: Letter, why: str) -> None:
        self.metrics.letters.tries[FAILED].inc()
        log.error(
            "a dead letter can still not be stored", extra={"entry": str(letter.entry.id), "reason": why}
        )
        await dead.failed(self.bus, conversation, letter.entry.id, why)

    async def _choose(
        self, conversation: Conversation, readable: list[tuple[Letter, Arrived]]
    ) -> _Chosen | None:
        """The first of them that make an object together; None where one of them was found to be at fault."""
        arrived = [one for _, one in readable]
        forbidden = await gone(self.bus, conversation)
        take, exclude = await self._take(conversation, arrived, forbidden)
        settings = await self.bus.user_settings(conversation.uid)
        protection = settings.get("protection", STANDARD)
        sealed = must_seal(protection)
        count = take.count
        while True:
            entries = arrived[:count]
            needed = tuple(one for one in exclude if any(a.span and covers((one,), a.span) for a in entries))
            try:
                built = await self.maker.make(conversation, entries, None, needed, sealed=sealed)
            except BuildError as error:
                if count == 1:
                    await self._failed(conversation, readable[0][0], str(error))
                    return None
                count //= 2
                continue
            letters = tuple(letter for letter, _ in readable[:count])
            ids = tuple(str(letter.entry.id) for letter in letters)
            name = _name(conversation, built, sealed=sealed, forbidden=forbidden)
            return _Chosen(LettersCut(VERSION, ids, name, protection, needed), letters, built)

    async def _take(
        self, conversation: Conversation, arrived: list[Arrived], forbidden: dict[str, int]
    ) -> tuple[Take, tuple[Stored, ...]]:
        """How many of them, and what of them lies in a bucket already."""
        nothing = ConversationState.from_values([None] * len(STATE_FIELDS))
        state = msgspec.structs.replace(nothing, flush=arrived[-1].id)
        asked: tuple[int, int] | None = None
        exclude: tuple[Stored, ...] = ()
        while True:
            take = decide(
                arrived, state, more=False, now_ms=self.now_ms(), limits=self.limits, exclude=exclude
            )
            if not isinstance(take, Take):
                raise BuildError(f"letters {arrived[0].id} to {arrived[-1].id}: nothing to cut")
            if take.start_ms is None or take.end_ms is None:
                return take, exclude
            if asked and asked[0] <= take.start_ms and take.end_ms <= asked[1]:
                return take, exclude
            start_ms, end_ms = take.start_ms, take.end_ms
            asked = (min(asked[0], start_ms), max(asked[1], end_ms)) if asked else (start_ms, end_ms)
            exclude = await self._stored(conversation, *asked, forbidden)

    async def _stored(
        self, conversation: Conversation, start_ms: int, end_ms: int, forbidden: dict[str, int]
    ) -> tuple[Stored, ...]:
        """What objects of that time hold, but for those that are to be deleted, or may not stay. The second bucket first: what moves home is seen in one.

        A second one that is away is not waited for: what it has of this audio is found at home when it is to be moved there.
        """
        ranges: list[Stored] = []
        for bucket in reversed(self.buckets.all):
            needed = bucket is self.buckets.first
            if not (needed or bucket.circuit.closed):
                continue
            try:
                found = await stored_between(
                    bucket,
                    self.maker.keys.ring(),
                    conversation,
                    start_ms,
                    end_ms,
                    without=forbidden,
                    unsure=partial(not_counting, self.bus, conversation),
                )
            except StoreError:
                if needed:
                    raise
            else:
                ranges += found.ranges
        return merged(ranges)

    async def _carry_out(self, conversation: Conversation, raw: bytes) -> bool:
        """Stores what somebody wrote down before. False where it is deleted."""
        cut = decode_letters_cut(raw)
        sealed = must_seal(cut.protection)
        try:
            letters = await self._letters(conversation, cut)
            arrived = [
                replace(read_entry(conversation.cid, letter.entry), counted_samples=letter.samples)
                for letter in letters
            ]
            built = await self.maker.make(conversation, arrived, None, cut.exclude, sealed=sealed)
        except (BadEntryError, BuildError) as error:
            # Another build wrote it down. What it may have put goes again, and each letter is looked at anew.
            log.warning("a cut of dead letters is given up", extra={"reason": str(error)})
            buckets, ring = self.buckets.to_ask(conversation), self.maker.keys.ring()
            name = await own_name(buckets, ring, conversation, cut)
            return await self._give_up(conversation, raw, name)
        return await self._store(conversation, _Chosen(cut, tuple(letters), built))

    async def _letters(self, conversation: Conversation, cut: LettersCut) -> list[Letter]:
        epochs = {int(one.partition("-")[0]) for one in cut.ids}
        lie_there = await letters_of(self.bus, conversation, epochs)
        letters = [letter for one, letter in lie_there.items() if str(one) in cut.ids]
        if len(letters) != len(cut.ids):
            raise BuildError("letters of a cut are gone although it stands")
        return letters

    async def _store(self, conversation: Conversation, chosen: _Chosen) -> bool:
        """Store, then settle: the order must hold, for the letter is the only other copy. False where it is deleted."""
        cut, batch, store = chosen.cut, chosen.built.batch, self.buckets.first
        outcome = Outcome.FOUND
        if cut.name and batch is not None:
            if (await marks(self.bus, conversation)).deleted or await self._user_deleted(
                conversation, chosen
            ):
                return False
            try:
                outcome = await put(store, cut.name, chosen.built, self.maker.keys.ring())
            except StoreError:
                # It may be there all the same, and if the letters were dropped meanwhile, nobody comes again to see.
                with suppress(StoreError):
                    await self._remove_what_must_not_stay(conversation, cut.name)
                raise
            match outcome:
                case Outcome.TAKEN:
                    return await self._rename(conversation, cut)
                case Outcome.DAMAGED:
                    return await self._give_up(conversation, cut.encode(), cut.name)
        if await self._user_deleted(conversation, chosen):
            # Whoever drops the letters notes the name: what lies there goes again.
            await self._remove_what_must_not_stay(conversation, cut.name)
            return False
        settled = await dead.settle(self.bus, conversation, cut.encode(), chosen.letters)
        if settled is None:
            # Somebody else settled it; or it was deleted while it was put, and must not stay.
            deleted = (await marks(self.bus, conversation)).deleted
            await self._remove_what_must_not_stay(conversation, cut.name, deleted=deleted)
            return not deleted
        tried = STORED if outcome is Outcome.STORED else FOUND
        self.metrics.letters.tries[tried].inc(len(chosen.letters))
        self.metrics.stored_seconds.inc(settled / 48_000)
        self.metrics.dead_letters.value = max(0, self.metrics.dead_letters.value - len(chosen.letters))
        log.info(
            "dead letters are stored",
            extra={"object": cut.name.rpartition("/")[2], "letters": len(chosen.letters)},
        )
        return True

    async def _remove_what_must_not_stay(
        self, conversation: Conversation, name: str, *, deleted: bool = False
    ) -> None:
        if name and (deleted or name in await gone(self.bus, conversation, confirmed=True)):
            await self.buckets.first.delete(name)

    async def _user_deleted(self, conversation: Conversation, chosen: _Chosen) -> bool:
        """Whether their user has deleted one of them: then the conversation is drained anew at once, and begins with dropping it."""
        before_ms = (await marks(self.bus, conversation)).before_ms
        made = (made_ms((letter.entry.chunk or b"")[:HEAD_BYTES]) for letter in chosen.letters)
        if not any(at_ms is not None and at_ms < before_ms for at_ms in made):
            return False
        await self.hints.due(conversation, self.now_ms())
        return True

    async def _give_up(self, conversation: Conversation, raw: bytes, name: str) -> bool:
        """The cut `raw` no longer stands, nothing stays under that name, and each letter is looked at anew. False where all is deleted."""
        answer = await dead.cut(self.bus, conversation, None, replaces=raw, gone=name, now_ms=self.now_ms())
        return not isinstance(answer, ConversationGone)

    async def _rename(self, conversation: Conversation, cut: LettersCut) -> bool:
        """Other runs have the name: the same cut, ending a millisecond later, takes its place."""
        answer, _ = await write_letters_down(
            self.bus, conversation, later(cut), replaces=cut.encode(), now_ms=self.now_ms()
        )
        return not isinstance(answer, ConversationGone)


def _name(conversation: Conversation, built: Built, *, sealed: bool, forbidden: dict[str, int]) -> str:
    """The object's name, later by as many milliseconds as there are names that must not come back; empty where there is nothing to put."""
    if built.batch is None:
        return ""
    spans = built.batch.spans
    name = BatchName(conversation.uid, conversation.cid, spans[0].start_ms, spans[-1].end_ms, sealed=sealed)
    while name.path in forbidden:
        name = replace(name, end_ms=name.end_ms + 1)
    return name.path
