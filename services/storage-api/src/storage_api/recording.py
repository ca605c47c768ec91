"""One conversation as it is now: tombstone, live tail, bucket, and the timeline that follows from them.

The order is the rule: tombstone first, then the live tail, beside both the names of what is deleted, and then the bucket's listing. A batch that is finished in
between is then in both, which the timeline plays once; the other way round it would be in neither. What took the place of a deleted object lay there before that was noted.
At the end the tombstone is looked for once more: whoever merges, or deletes, sets it before the first object goes. So are the names of what is deleted: one that came since, and was not
listed, may have taken the place that its audio had when the listing passed there, and it is listed again.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from audiobus import Bus, Conversation
from audiobus.deletions import noted
from audiobus.errors import BusError, BusUnavailableError
from audiostore.errors import StoreError
from audiostore.paired_store import PairedStore
from servicekit.problem import ProblemError
from storage_api.bucket import Bucket, Judged
from storage_api.errors import log_text
from storage_api.known_letters import KnownLetters
from storage_api.listing import LISTINGS, Stretch
from storage_api.live_tail import LiveChunk, LiveTail, read_live_tail
from storage_api.stored_object import StoredObject
from storage_api.timeline import Gap, Live, ObjectKey, Piece, Source, Timeline, timeline
from storage_api.told_apart import told_apart
from storage_api.unheard import Placed, placed

UNKNOWN_FORM: Final = (16_000, 1)
"""Hz and channels of silence for a recording of which nothing can be read: what speech mostly is."""
NOT_UNDERSTOOD: Final = ""
"""Stands among the names of deleted objects, in the place of all of them, where what is noted of one cannot be understood."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """What was found. `tail` is None where Redis is away."""

    conversation: Conversation
    tail: LiveTail | None
    objects: tuple[StoredObject, ...]
    from_ms: int | None = None
    """Where it is a part: objects that begin before this time, unix ms, may be missing; None where none of them are."""
    before_ms: int | None = None
    """Likewise, objects that begin then or later may be missing."""

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Everything that can be read, as it lies there: what two places hold is there twice."""
        stored = [piece for stored in self.objects for piece in stored.pieces]
        return (*stored, *(self.tail.pieces if self.tail else ()))

    def up_to(self, count: int) -> "Recording":
        """A part: the first objects, so many or a few less, and all that waits. Their names must sort as their times do."""
        if count >= len(self.objects):
            return self
        before_ms = self.objects[count].name.start_ms
        first = tuple(stored for stored in self.objects[:count] if stored.name.start_ms < before_ms)
        return replace(self, objects=first, before_ms=before_ms)

    @cached_property
    def timeline(self) -> Timeline:
        """Everything that can be read, each recorded byte once."""
        return timeline(self.pieces)

    @cached_property
    def stored(self) -> Timeline:
        """What of it the bucket holds."""
        return timeline(piece for stored in self.objects for piece in stored.pieces)

    @cached_property
    def by_key(self) -> dict[ObjectKey, StoredObject]:
        """The objects by what tells them apart."""
        return {stored.key: stored for stored in self.objects}

    @property
    def extent_48k(self) -> tuple[int, int]:
        """From the first sample to the last, with what cannot be read. The recording must not be empty."""
        return extent_48k(self.timeline, self.unreadable, self.unheard)

    @cached_property
    def waiting(self) -> tuple[tuple[LiveChunk, Live], ...]:
        """What of the live tail is in no object, played or not."""
        if self.tail is None or not self.tail.chunks:
            return ()
        known = self.timeline.overlapped | {play.piece.source for play in self.timeline.plays}
        lying = ((live, Live(index)) for index, live in enumerate(self.tail.chunks))
        return tuple((live, source) for live, source in lying if source in known)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The silence in the audio: the time from its first sample to its last that nothing plays, be it unreadable or never recorded."""
        return self.timeline.holes(*self.extent_48k)

    @property
    def unreadable(self) -> list[StoredObject]:
        """Objects that cannot be read."""
        return [stored for stored in self.objects if stored.reason is not None]

    @cached_property
    def unheard(self) -> tuple[Placed, ...]:
        """What Redis holds and nobody can hear, in order."""
        if self.tail is None or not self.tail.unheard:
            return ()
        return placed(self.tail.unheard, self.pieces, self.conversation.cid)

    @property
    def unsettled_damage(self) -> list[StoredObject]:
        """Objects that look damaged, of a time of which audio still waits: whoever stores that is about to put them right, or to give them up."""
        damaged = [stored for stored in self.unreadable if stored.reason in ("damaged", "not_a_batch")]
        if not (damaged and self.tail and self.tail.chunks):
            return []
        start = min(live.span.start_48k for live in self.tail.chunks)
        end = max(live.span.end_48k for live in self.tail.chunks)
        return [stored for stored in damaged if stored.start_48k < end and start < stored.end_48k + 48]

    @property
    def empty(self) -> bool:
        """Whether there is no audio at all, readable or not."""
        return not (self.objects or (self.tail and (self.tail.chunks or self.tail.unheard)))

    @property
    def first_form(self) -> tuple[int, int]:
        """Sample rate in Hz and channels of the first run; UNKNOWN_FORM where nothing tells."""
        if self.timeline.plays:
            return self.form(self.timeline.plays[0].piece.source)
        told = (stored.verdict.facts for stored in self.unreadable)
        return next(((facts.sample_rate, facts.channels) for facts in told if facts), UNKNOWN_FORM)

    def form(self, source: Source) -> tuple[int, int]:
        """Sample rate in Hz and channels of what lies there."""
        if isinstance(source, Live):
            assert self.tail is not None  # noqa: S101 - only where there is a tail are there plays in it
            live = self.tail.chunks[source.index]
            return live.sample_rate, live.channels
        facts = self.by_key[source.key].verdict.facts
        assert facts is not None  # noqa: S101 - only readable objects are in the timeline
        return facts.sample_rate, facts.channels


def extent_48k(
    readable: Timeline, unreadable: Iterable[StoredObject], unheard: Iterable[Placed]
) -> tuple[int, int]:
    """From the first sample to the last, with what cannot be read; (0, 0) where there is nothing.

    What has no length, or only a guess for its time, counts only where there is nothing else.
    """
    times = [(bad.start_48k, bad.end_48k) for bad in unreadable]
    if readable.plays:
        times.append((readable.start_48k, readable.end_48k))
    lost = tuple(unheard)
    times += [(one.start_48k, one.end_48k) for one in lost if one.told and one.start_48k < one.end_48k]
    times = times or [(one.start_48k, one.end_48k) for one in lost]
    return min((start for start, _ in times), default=0), max((end for _, end in times), default=0)


class Recordings:
    """Looks at conversations."""

    def __init__(self, bus: Bus, bucket: Bucket) -> None:
        self.bus = bus
        self.bucket = bucket
        self.letters = KnownLetters()
        """Of any conversation."""

    async def find(self, conversation: Conversation) -> Recording:
        """The conversation as it is now.

        ProblemError: 404 `not_found` where nothing was ever recorded, or it is deleted; 503 `live_unavailable` where Redis is away
        and nothing is stored; 502 `store_unavailable` where the bucket cannot be read.
        """
        return await _laid_out(await self.listed(conversation))

    async def listed(self, conversation: Conversation) -> Recording:
        """The same, its timeline not made yet: that takes long, and is for a thread."""
        recording = await self.part(conversation, None)
        if not recording.empty:
            return recording
        if recording.tail is None:
            raise live_unavailable()
        raise not_found()

    async def look(self, conversation: Conversation) -> Recording:
        """The same, also where there is nothing. ProblemError for a deleted one, and where the bucket cannot be read."""
        return await _laid_out(await self.part(conversation, None))

    async def part(self, conversation: Conversation, stretch: Stretch | None) -> Recording:
        """Likewise, but of the bucket only this stretch, all of it for None; its timeline is not made yet."""
        tail, deleted = await self._known_to_redis(conversation)
        return await self._found(conversation, tail, deleted, stretch)

    async def look_without_redis(self, conversation: Conversation) -> Recording:
        """What the bucket alone tells, for whoever knows that Redis is away. ProblemError where the bucket cannot be read."""
        return await _laid_out(await self._found(conversation, None, frozenset()))

    async def _found(
        self,
        conversation: Conversation,
        tail: LiveTail | None,
        deleted: frozenset[str],
        stretch: Stretch | None = None,
    ) -> Recording:
        in_parts = tail is not None and NOT_UNDERSTOOD not in deleted
        judged = await self._judged(conversation, stretch, in_parts=in_parts)
        if tail is not None:
            for look in range(1, LISTINGS):
                since = await self._since(conversation)
                if since is None:
                    # Redis went away meanwhile: it is as if it had been from the beginning.
                    return await self._found(conversation, None, deleted, stretch)
                new = since - deleted
                # Who found all that had a name has its audio. What is left of another may lie under names that were passed before they were put.
                if not new or new <= self._whole(judged):
                    break
                deleted |= new
                # One name after another where a next look would tell nothing: then what is cut meanwhile is missed in no part.
                in_parts = look + 1 < LISTINGS and NOT_UNDERSTOOD not in deleted
                judged = await self._judged(conversation, stretch, in_parts=in_parts)
            else:
                await self._since(conversation)
        # A put that lands late brings one of these back, until a pusher sees it.
        objects = tuple(one for one in judged.objects if one.info.name not in deleted)
        recording = Recording(
            conversation, tail, objects, stretch.from_ms if stretch else None, judged.before_ms
        )
        for stored in recording.unsettled_damage:
            self.bucket.doubt(stored)
        if tail is None or not tail.unheard:
            return recording
        try:
            apart = await told_apart(self.bus, conversation, tail.unheard, lambda: recording.pieces)
        except BusUnavailableError as error:
            log.warning("what times of deletions meant cannot be read", extra={"reason": log_text(error)})
            return await self._found(conversation, None, deleted, stretch)
        return replace(recording, tail=replace(tail, unheard=apart))

    def _whole(self, judged: Judged) -> set[str]:
        """Names of which all was found that the buckets had. Of two it may be one object of two, with other audio: the second's is deleted first."""
        paired = isinstance(self.bucket.store, PairedStore)
        return {one.info.name for one in judged.objects if one.info.beside is not None or not paired}

    async def _judged(self, conversation: Conversation, stretch: Stretch | None, *, in_parts: bool) -> Judged:
        try:
            return await self.bucket.some(*conversation, stretch, in_parts=in_parts)
        except StoreError as error:
            raise store_unavailable(error) from error

    async def _since(self, conversation: Conversation) -> frozenset[str] | None:
        """Names of objects that were deleted by now; None where Redis went away meanwhile. Asked for beside the tombstone, as it hangs for both.

        ProblemError for a conversation that went into another, or was deleted: what was listed may be a part of it.
        """
        went, deleted = await asyncio.gather(self._went(conversation), self._deleted(conversation))
        if went:
            raise not_found()
        return deleted

    async def judged_again(self, recording: Recording) -> Recording:
        """The same recording, with what was found out about its objects since; where one is gone, as it is now. ProblemError as with `look`."""
        try:
            listed = {stored.info.name: (stored.name, stored.info) for stored in recording.objects}
            judged = await self.bucket.with_facts(list(listed.values()))
        except StoreError as error:
            raise store_unavailable(error) from error
        if judged.gone:
            return await self.look(recording.conversation)
        return await _laid_out(Recording(recording.conversation, recording.tail, tuple(judged.objects)))

    async def _known_to_redis(self, conversation: Conversation) -> tuple[LiveTail | None, frozenset[str]]:
        """The live tail, and the names of objects that were deleted with their audio; None, and none, where Redis is away.

        They are asked for side by side: where Redis hangs each takes seconds. Where the names alone do not come, it is away all the same, and
        whoever listens is told so. ProblemError for a deleted one.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._tail(conversation))
                asking = tasks.create_task(self._deleted(conversation))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        tail, deleted = reading.result(), asking.result()
        return (None, frozenset()) if deleted is None else (tail, deleted)

    async def _tail(self, conversation: Conversation) -> LiveTail | None:
        try:
            if await self.bus.tombstone(conversation):
                raise not_found()
            return await read_live_tail(self.bus, conversation, self.letters)
        except BusUnavailableError as error:
            log.warning("the live tail cannot be read", extra={"reason": log_text(error)})
            return None

    async def _went(self, conversation: Conversation) -> bool:
        """Whether a tombstone stands; False where Redis is away."""
        try:
            return await self.bus.tombstone(conversation)
        except BusUnavailableError:
            return False

    async def _deleted(self, conversation: Conversation) -> frozenset[str] | None:
        """Names of objects that were deleted with their audio; None where Redis is away, NOT_UNDERSTOOD alone where that is so."""
        try:
            names = await noted(self.bus, conversation)
        except BusUnavailableError as error:
            log.warning("the names of deleted objects cannot be read", extra={"reason": log_text(error)})
            return None
        except BusError as error:
            log.warning("the names of deleted objects cannot be read", extra={"reason": log_text(error)})
            return frozenset((NOT_UNDERSTOOD,))
        return frozenset(name for name, why in names.items() if not why.given_up)


async def _laid_out(recording: Recording) -> Recording:
    """The same, with its timeline made: in a thread, for of 86,400 entries that wait it takes half a second."""
    await asyncio.to_thread(getattr, recording, "timeline")
    if recording.tail is not None and recording.tail.unheard:
        await asyncio.to_thread(getattr, recording, "unheard")
    return recording


def not_found() -> ProblemError:
    """Nothing is there, as far as this caller may know."""
    return ProblemError(404, "not_found", "no such conversation, or nothing was ever recorded into it")


def live_unavailable() -> ProblemError:
    """Nothing is stored, and whether something waits cannot be known."""
    detail = "nothing of it is stored yet, and what waits cannot be read at the moment; try again"
    return ProblemError(503, "live_unavailable", detail, headers={"Retry-After": "2"})


def store_unavailable(error: BaseException) -> ProblemError:
    """The bucket cannot be read."""
    log.error("the bucket cannot be read", extra={"reason": log_text(error)})
    return ProblemError(
        503,
        "store_unavailable",
        "the bucket cannot be read at the moment; try again",
        headers={"Retry-After": "2"},
    )
