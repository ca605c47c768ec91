"""What a user recorded before they deleted all of it: the operation, from their tombstone on.

Owns the order for each conversation: pushers are told, and clear what waits; what is stored is noted, the buckets are listed again until there is
nothing new to note, then it is deleted. It goes over all conversations until nothing is left, and once more when no put that was under way can
land any more: only then is it done. Every step may be done twice.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec

from audiobus import Conversation, EntryId
from audiobus.deletions import noted, unstore
from audiobus.recorded_before import conversations_of, waits_before
from audiostore.errors import TransientStoreError
from audiostore.names import ROOT, conversation_prefix, parse_conversation_prefix, user_prefix
from audiostore.waveform_names import ROOT as WAVEFORMS
from audiostore.waveform_names import audio_name, conversation_waveforms, user_waveforms
from storage_api.deletion.erasing import LISTINGS, delete_all
from storage_api.deletion.recorded import Boundary, Doomed, Parted, part
from storage_api.operations.turn import LaterError, Turn
from storage_api.services import Services
from storage_api.wire import seconds

KIND: Final = "delete_user_audio"
SETTLED_MS: Final = 600_000
"""So long after the last note no put of before can be under way (`docs/conservation.md`)."""
AGAIN_MS: Final = 5_000
"""How soon it is looked again whether pushers have cleared what waits."""
NOTED_AT_ONCE: Final = 500
"""Names in one step."""

log = logging.getLogger(__name__)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    before_ms: int
    """The user's tombstone, unix ms."""
    newest: dict[str, str]
    """By conversation that was live then, the id of its newest chunk."""


class Progress(msgspec.Struct, kw_only=True):
    """How far it is, for people."""

    conversations: int = 0
    conversations_done: int = 0
    """In this pass over them."""
    waiting: int = 0
    """Conversations in which audio still waits to be cleared, by pushers, or a merge to end."""
    deleted_objects: int = 0
    deleted_seconds: float = 0.0
    kept_objects: int = 0
    """Hold audio from before and from after, and were left as they are."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Of what waited in Redis, pushers keep the account."""

    deleted_objects: int
    deleted_seconds: float
    kept_objects: int


class Step(msgspec.Struct, kw_only=True):
    """How far it is, for whoever goes on."""

    after: str = ""
    """The pass has come up to this conversation."""
    began_ms: int = 0
    """When the pass began, unix ms; 0 where none is under way."""
    changed_ms: int = 0
    """When something was last found that had to go."""
    clean: bool = True
    """Whether the pass has found nothing so far."""
    waiting: int = 0
    kept: int = 0
    objects: int = 0
    samples: int = 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class UserAudio:
    """The kind of operation."""

    def __init__(
        self, services: Services, now_ms: Callable[[], int] = _now_ms, settled_ms: int = SETTLED_MS
    ) -> None:
        self._services = services
        self._now_ms = now_ms
        self._settled_ms = settled_ms

    async def __call__(self, turn: Turn) -> Result:
        """Goes on from the step written down. LaterError as long as something has to be waited for."""
        request = msgspec.json.decode(turn.operation.request, type=Request)
        step = Step(changed_ms=request.before_ms)
        if turn.operation.step:
            step = msgspec.json.decode(turn.operation.step, type=Step)
        return await _Turn(self._services, turn, request, step, self._now_ms, self._settled_ms).run()


class _Turn:
    """One turn at it."""

    def __init__(
        self,
        services: Services,
        turn: Turn,
        request: Request,
        step: Step,
        now_ms: Callable[[], int],
        settled_ms: int,
    ) -> None:
        self._services = services
        self._turn = turn
        self._request = request
        self._step = step
        self._now_ms = now_ms
        self._settled_ms = settled_ms
        self._uid = turn.operation.uid

    async def run(self) -> Result:
        """The rest of a pass, or a whole one. LaterError unless it was the last."""
        step = self._step
        if not step.began_ms:
            step.began_ms, step.after, step.clean, step.waiting, step.kept = self._now_ms(), "", True, 0, 0
        settled = step.began_ms >= step.changed_ms + self._settled_ms
        conversations = await self._conversations()
        for conversation in conversations:
            if conversation.cid > step.after:
                await self._clear(conversation, conversations)
                step.after = conversation.cid
                await self._save(conversations)
        step.began_ms = 0
        if step.clean and settled:
            return Result(
                deleted_objects=step.objects, deleted_seconds=seconds(step.samples), kept_objects=step.kept
            )
        await self._save(conversations)
        settles_ms = step.changed_ms + self._settled_ms - self._now_ms()
        raise LaterError(AGAIN_MS if step.waiting else max(0, settles_ms))

    async def _conversations(self) -> list[Conversation]:
        """All that Redis or a bucket knows, in order."""
        found = await conversations_of(self._services.bus, self._uid)
        async for folder in self._services.bucket.store.list_folders(user_prefix(self._uid)):
            named = parse_conversation_prefix(folder)
            if named is not None:
                found.add(Conversation(*named))
        async for folder in self._services.bucket.store.list_folders(user_waveforms(self._uid)):
            named = parse_conversation_prefix(folder.replace(WAVEFORMS, ROOT, 1))
            if named is not None:
                found.add(Conversation(*named))
        return sorted(found, key=lambda one: one.cid)

    async def _clear(self, conversation: Conversation, conversations: list[Conversation]) -> None:
        bus, store, step, now_ms = self._services.bus, self._services.bucket.store, self._step, self._now_ms()
        if await bus.tombstone(conversation):
            return  # all of it goes, or went into another one
        if (await bus.state(conversation)).in_merge:
            step.clean, step.waiting = False, step.waiting + 1
            return
        await self._services.hints.due(conversation, now_ms)
        if await waits_before(bus, conversation, self._request.before_ms):
            step.clean, step.waiting = False, step.waiting + 1
            await self._services.hints.ready(conversation, "deleted")
        parted = await self._parted(conversation)
        if parted.doomed:
            # Whoever goes on must know that there was a note, though nothing may be left of the objects.
            step.clean, step.changed_ms = False, self._now_ms()
            await self._save(conversations)
            names = sorted(await self._note(conversation))
            step.changed_ms = self._now_ms()
            await self._save(conversations)
            # Before the audio, for without that nobody comes back for it; and after it, for it may have been made meanwhile.
            await self._delete_derived(conversation, names)
            await delete_all(store, names)
            await self._delete_derived(conversation, names)
        if await self._delete_orphans(conversation):
            step.clean, step.changed_ms = False, self._now_ms()
        step.kept += len(parted.spanning)

    async def _parted(self, conversation: Conversation) -> Parted:
        newest = EntryId.parse_or_none(self._request.newest.get(conversation.cid, "").encode())
        boundary = Boundary(conversation.cid, self._request.before_ms, newest)
        return part(await self._services.bucket.objects(*conversation), boundary)

    async def _note(self, conversation: Conversation) -> set[str]:
        """Notes what has to go until a listing shows nothing new; its names. Nothing is deleted before that."""
        bus = self._services.bus
        known = {name for name, why in (await noted(bus, conversation)).items() if not why.given_up}
        found: set[str] = set()
        counted: set[tuple[str, int, int, int]] = set()
        for _ in range(LISTINGS):
            doomed = (await self._parted(conversation)).doomed
            new = sorted(doomed.keys() - found)
            if not new:
                return found
            for start in range(0, len(new), NOTED_AT_ONCE):
                some = new[start : start + NOTED_AT_ONCE]
                samples = {
                    name: self._count(conversation, doomed[name], counted, told=name in known)
                    for name in some
                }
                await unstore(bus, conversation, samples, self._now_ms())
            found.update(new)
        raise TransientStoreError("delete a user's audio: objects come as fast as they are noted; try again")

    def _count(
        self,
        conversation: Conversation,
        doomed: Doomed,
        counted: set[tuple[str, int, int, int]],
        *,
        told: bool,
    ) -> int:
        """Samples that the books of this conversation count for it: each stretch once, under whatever names it lies.

        `told`: the name was noted before, so that it is in the result already.
        """
        booked = told_samples = 0
        for identity, samples in doomed.samples.items():
            if identity not in counted:
                counted.add(identity)
                told_samples += samples
                # What was copied from another conversation was received there.
                booked += samples if identity[0] == conversation.cid else 0
        if not told:
            self._step.objects += 1
            self._step.samples += told_samples + doomed.older_samples
        return booked

    async def _delete_derived(self, conversation: Conversation, names: list[str]) -> None:
        """The waveforms of these objects."""
        store, of = self._services.bucket.store, set(names)
        derived = [info.name async for info in store.list(conversation_waveforms(*conversation))]
        await delete_all(store, [name for name in derived if audio_name(name) in of])

    async def _delete_orphans(self, conversation: Conversation) -> int:
        """Waveforms whose audio others have deleted, or moved to other names; how many."""
        store = self._services.bucket.store
        derived = [info.name async for info in store.list(conversation_waveforms(*conversation))]
        if not derived:
            return 0
        # After them: whoever keeps one has seen its audio, and looks again.
        audio = {info.name async for info in store.list(conversation_prefix(*conversation))}
        orphans = [name for name in derived if audio_name(name) not in audio]
        await delete_all(store, orphans)
        return len(orphans)

    async def _save(self, conversations: list[Conversation]) -> None:
        step = self._step
        done = sum(1 for one in conversations if one.cid <= step.after)
        progress = Progress(
            conversations=len(conversations),
            conversations_done=done,
            waiting=step.waiting,
            deleted_objects=step.objects,
            deleted_seconds=seconds(step.samples),
            kept_objects=step.kept,
        )
        await self._turn.save(step, progress)
