"""What was recorded into one conversation before its user deleted everything: deleted from the buckets, and what no pusher clears from Redis, too.

Owns the order: pushers are told, and clear what waits; what is stored is noted, the buckets are listed again until there is nothing new to note, then it is
deleted. Every step may be done twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from audiobus import Conversation, EntryId
from audiobus.cut import decode_cut
from audiobus.deletions import discard, expunge, noted, unstore
from audiobus.merging import booked, is_free
from audiobus.recorded_before import Waiting, waits_before
from audiobus.state import ConversationState
from audiostore.errors import TransientStoreError
from storage_api.deletion.derived import delete_derived, delete_orphans
from storage_api.deletion.erasing import LISTINGS, delete_all
from storage_api.deletion.notes import Request, Step
from storage_api.deletion.recorded import Boundary, Doomed, Parted, part
from storage_api.services import Services

NOTED_AT_ONCE: Final = 500
"""Names in one step."""
DROPPED_AT_ONCE: Final = 500
"""Entries in one step."""


class FormerAudio:
    """One conversation's."""

    def __init__(
        self,
        services: Services,
        conversation: Conversation,
        request: Request,
        step: Step,
        now_ms: Callable[[], Awaitable[int]],
    ) -> None:
        """`step`: what is found is written there; `now_ms`: Redis' clock."""
        self._services = services
        self._conversation = conversation
        self._step = step
        self._now_ms = now_ms
        self._booked = frozenset({conversation.cid})
        """Whose recorded audio counts in the books here."""
        self._boundary = Boundary(request.before_ms, request.newest_ids())

    async def delete(self, save: Callable[[], Awaitable[None]]) -> None:
        """Deletes what of it can be deleted now; the step knows if something is left. `save`: writes the step down.

        StoreError, BusError: it is left, as far as it is.
        """
        bus, step, conversation = self._services.bus, self._step, self._conversation
        if await bus.tombstone(conversation):
            return  # all of it goes, or went into another one, where the pass looks for it (`taken_along`)
        state = await bus.state(conversation)
        if state.in_merge and not await is_free(bus, conversation):
            step.waiting += 1
            step.leave(conversation.cid)
            return
        if await self._clear(state):
            step.waiting += 1
            step.leave(conversation.cid)
        await self._unstore(save)

    async def _clear(self, state: ConversationState) -> bool:
        """Has what waits cleared; whether a pusher has still to do it."""
        bus, hints, conversation = self._services.bus, self._services.hints, self._conversation
        keys = bus.keys
        if not await bus.command(
            "EXISTS", keys.conv(conversation), keys.audio(conversation), keys.dead(conversation)
        ):
            return False  # there is nothing that a pusher could look at
        newest = self._boundary.newest.get(conversation.cid)
        waiting = await waits_before(bus, conversation, self._boundary.before_ms, newest)
        if self._step.full:
            self._step.letters += waiting.unreadable
        # Also for the pre-roll alone.
        await hints.due(conversation, await self._now_ms())
        if waiting.entries or waiting.letters:
            await self._drop(state, waiting)
        if waiting.made_before:
            await hints.ready(conversation, "deleted")
        return waiting.made_before

    async def _drop(self, state: ConversationState, waiting: Waiting) -> None:
        """What was appended before the moment, by a `listen` whose clock is ahead: pushers take it for what came later."""
        bus, conversation, now_ms = self._services.bus, self._conversation, await self._now_ms()
        # It may have been stored before the next look, and is in this pass' listing, or the next one's.
        self._step.clean, self._step.changed_ms = False, now_ms
        cut = state.cut
        name = decode_cut(cut).name if cut else ""
        ids = list(waiting.entries)
        for start in range(0, len(ids), DROPPED_AT_ONCE):
            some = {one: waiting.entries[one] for one in ids[start : start + DROPPED_AT_ONCE]}
            dropped = await expunge(bus, conversation, some, cut=cut, name=name, preroll=True, now_ms=now_ms)
            if dropped is None:
                # Another cut was written down meanwhile: in the next pass.
                self._step.leave(conversation.cid)
                break
            self._services.metrics.deleted(dropped)
            cut = None  # it went with the first of them
        for entry_id in waiting.letters:
            self._services.metrics.deleted(await discard(bus, conversation, entry_id, now_ms) or 0)

    async def _unstore(self, save: Callable[[], Awaitable[None]]) -> None:
        store, step, conversation = self._services.bucket.store, self._step, self._conversation
        parted = await self._parted()
        if parted.doomed:
            # Whoever goes on must know that there was a note, though nothing may be left of the objects.
            step.clean, step.changed_ms = False, await self._now_ms()
            await save()
            names = sorted(await self._note())
            step.changed_ms = await self._now_ms()
            await save()
            # Before the audio, for without that nobody comes back for it; and after it, for it may have been made meanwhile.
            await delete_derived(store, conversation, names)
            await delete_all(store, names)
            await delete_derived(store, conversation, names)
        if await delete_orphans(store, conversation):
            step.clean, step.changed_ms = False, await self._now_ms()
        if step.full:
            step.kept += len(parted.spanning)

    async def _parted(self) -> Parted:
        objects = await self._services.bucket.objects(*self._conversation)
        return await asyncio.to_thread(part, objects, self._boundary)

    async def _note(self) -> set[str]:
        """Notes what has to go until a listing shows nothing new; its names. Nothing is deleted before that."""
        bus, conversation = self._services.bus, self._conversation
        known = {name for name, why in (await noted(bus, conversation)).items() if not why.given_up}
        found: set[str] = set()
        counted: set[tuple[str, int, int, int]] = set()
        self._booked = await booked(bus, conversation)
        for _ in range(LISTINGS):
            doomed = (await self._parted()).doomed
            new = sorted(doomed.keys() - found)
            if not new:
                return found
            for start in range(0, len(new), NOTED_AT_ONCE):
                some = new[start : start + NOTED_AT_ONCE]
                samples = {name: self._count(doomed[name], counted, told=name in known) for name in some}
                last = {name: entry_id for name in some if (entry_id := self._last(doomed[name]))}
                deleted = await unstore(bus, conversation, samples, await self._now_ms(), last=last)
                self._services.metrics.deleted(deleted)
            found.update(new)
        raise TransientStoreError("delete a user's audio: objects come as fast as they are noted; try again")

    def _count(self, doomed: Doomed, counted: set[tuple[str, int, int, int]], *, told: bool) -> int:
        """Samples that the books of this conversation count for it: each stretch once, under whatever names it lies.

        `told`: the name was noted before, so that it is in the result already.
        """
        here = told_samples = 0
        for identity, samples in doomed.samples.items():
            if identity not in counted:
                counted.add(identity)
                told_samples += samples
                # What was copied from another conversation was received there, unless that went into this one.
                here += samples if identity[0] in self._booked else 0
        if not told:
            self._step.objects += 1
            self._step.samples += told_samples + doomed.older_samples
        return here

    def _last(self, doomed: Doomed) -> EntryId | None:
        """The id of the last entry of this conversation in it."""
        own = (one for one in doomed.samples if one[0] == self._conversation.cid)
        return max((EntryId(epoch, end_offset) for _, epoch, _, end_offset in own), default=None)
