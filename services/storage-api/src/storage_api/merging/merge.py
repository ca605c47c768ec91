"""The operation of a merge, from the request on.

Owns the order: the target is held and the sources are frozen, what waits is stored, the bucket's objects are copied until a pass finds all of
them, then each source gets the tombstone that names the target, and only then is deleted. Every step may be done twice, by any process, and is
looked at anew instead of being remembered: a turn begins with what stands in Redis. A source without its tombstone is whole, and one with it is
whole in the target; so a merge may end anywhere in between, and lets go of the sources that are left.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from audiobus import Conversation
from audiobus.bucket_roles import has_another, role_key
from audiobus.deletions import emptied, looked_at, sweep
from audiobus.errors import ConversationDeletedError, HeldError, LettersError, MergedError
from audiobus.merging import Frozen, Taken, bury_merged, freeze, hold, take_in, thaw
from audiobus.named_cuts import cuts_of, speaks_of
from audiobus.operations import find
from audiobus.replacing import Replacing
from audiobus.state import ConversationState
from audiostore.errors import StoreError
from audiostore.names import conversation_prefix
from audiostore.paired_store import PairedStore
from audiostore.waveform_names import conversation_waveforms
from storage_api.cutting.place import Place
from storage_api.deletion.erasing import erase
from storage_api.merging.copying import Copying
from storage_api.merging.draining import Draining, letters
from storage_api.operations.turn import FailedError, LaterError, Turn
from storage_api.services import Services
from storage_api.wall_clock import now_ms

log = logging.getLogger(__name__)

T = TypeVar("T")

KIND: Final = "merge_conversations"
LIMIT_MS: Final = 900_000
"""So long sources are frozen at the most: a merge that has not copied everything by then fails, and lets go of them."""
HELD_MS: Final = 2 * LIMIT_MS
"""So long after a turn began what it holds thaws for others by themselves: nobody may be left to go on with it."""
GRACE_MS: Final = 3_000
"""So long sockets of a source that is being recorded may bring what they had not appended when it was frozen. They hear of it with their next
append, within a second."""
PAUSE_S: Final = 0.1
"""Between two looks whether they have."""
PASSES: Final = 10
"""After so many there is still something to copy: somebody goes on putting it."""
SOON_MS: Final = 500
"""Until it is looked again at what changed while it was copied."""
WAITING_MS: Final = 1_000
"""Until it is looked again whether all that waited is stored."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    sources: tuple[str, ...]
    """In order, each once, without the target."""
    target: str
    delete_sources: bool


class Step(msgspec.Struct, kw_only=True):
    """How far it is, for whoever goes on."""

    since_ms: int = 0
    """When the sources were first held, by Redis' clock, unix ms; 0 where they were not."""
    objects: dict[str, int] = {}
    """By source, how many of its objects lie in the target."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is, for people."""

    sources: int
    sources_copied: int
    """Sources all of whose objects were compared with their copies."""
    sources_done: int
    """Of these, those that are deleted, where they are to be."""
    objects: int
    """Of the sources, that lie in the target."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    sources: int
    """Conversations that are in the target now, besides itself."""
    objects: int
    """Objects of theirs."""


def _went(one: Conversation) -> FailedError:
    return FailedError("not_found", f"{one.cid} was deleted, or went into another conversation")


class Merge:
    """The kind of operation."""

    def __init__(
        self,
        services: Services,
        now_ms: Callable[[], int] = now_ms,
        limit_ms: int = LIMIT_MS,
        grace_ms: int = GRACE_MS,
    ) -> None:
        self._services = services
        self._now_ms = now_ms
        self._limit_ms = limit_ms
        self._grace_ms = grace_ms

    async def __call__(self, turn: Turn) -> Result:
        """Goes on. LaterError as long as something has to be waited for; FailedError: it is over, and nothing is frozen any more."""
        request = msgspec.json.decode(turn.operation.request, type=Request)
        step = msgspec.json.decode(turn.operation.step, type=Step) if turn.operation.step else Step()
        one = _Turn(self._services, turn, request, step, self._now_ms, self._limit_ms, self._grace_ms)
        try:
            return await one.run()
        except FailedError as error:
            await one.let_go()
            raise FailedError(error.code, error.detail + one.left_behind) from error


class _Turn:
    """One turn at it."""

    def __init__(
        self,
        services: Services,
        turn: Turn,
        request: Request,
        step: Step,
        now_ms: Callable[[], int],
        limit_ms: int,
        grace_ms: int,
    ) -> None:
        self._services = services
        self._bus = services.bus
        self._turn = turn
        self._request = request
        self._step = step
        self._now_ms = now_ms
        self._limit_ms = limit_ms
        self._grace_ms = grace_ms
        uid = turn.operation.uid
        self._target = Conversation(uid, request.target)
        self._sources = [Conversation(uid, cid) for cid in request.sources]
        self._done = self._copied = 0
        self._copies: dict[Conversation, set[str]] = {}
        """By source, the names under which its objects were found in the target last."""

    async def run(self) -> Result:
        """LaterError, FailedError, StoreError, BusUnavailableError."""
        try:
            left = await self._without_those_that_went()
        except StoreError:
            # Sources that are whole yet need not wait for a bucket that is away.
            if await self._is_overdue():
                for source in self._sources:
                    await thaw(self._bus, source, self._turn.operation.id)
            raise
        if left:
            await self._in_time()
            await self._in_every_bucket()
            frozen = await self._hold(left)
            await self._await_sockets(frozen)
            states = await self._drained(left)
            fence = await self._copy(left)
            if self._request.delete_sources:
                for source in left:
                    await self._bury(source, frozen[source].token, states[source], fence)
        await self.let_go()
        return Result(sources=len(self._sources), objects=sum(self._step.objects.values()))

    @property
    def left_behind(self) -> str:
        """What is told of copies that stay in the target though the merge failed; nothing where there are none."""
        count = sum(self._step.objects.values())
        told = f"; {count} of their objects lie in {self._target.cid} by now: they stay, and are found there when it is asked again"
        return told if count else ""

    async def let_go(self) -> None:
        """Thaws what this merge holds. BusUnavailableError."""
        for one in (*self._sources, self._target):
            await thaw(self._bus, one, self._turn.operation.id)

    async def _without_those_that_went(self) -> list[Conversation]:
        """The sources that are to be merged yet. The others are brought to their end: an earlier turn may have been killed there."""
        if not self._request.delete_sources:
            return self._sources
        left = []
        for source in self._sources:
            # No token: it is buried no more than it is, but as many replicas as are asked for know of what stands.
            try:
                what = await bury_merged(
                    self._bus, source, self._target, "", newest=None, fence=0, now_ms=self._now_ms()
                )
            except (MergedError, ConversationDeletedError) as error:
                raise _went(source) from error
            if what is None:
                left.append(source)
            else:
                await self._erase(source, what)
        return left

    async def _is_overdue(self) -> bool:
        since_ms = self._step.since_ms
        return bool(since_ms) and await self._bus.clock.ms(self._target) - since_ms > self._limit_ms

    async def _in_time(self) -> None:
        if not self._step.since_ms:
            self._step.since_ms = await self._bus.clock.ms(self._target)
            await self._save()
        elif await self._is_overdue():
            detail = (
                "the sources could not be stored and copied in time; those that are left are as they were"
            )
            raise FailedError("merge_timeout", detail)

    async def _in_every_bucket(self) -> None:
        """Pushers sweep every bucket of a source that went; what lies in one that is not known here was not copied."""
        url, store = self._services.store_url, self._services.bucket.store
        if url and not isinstance(store, PairedStore) and await has_another(self._bus, url):
            log.warning(
                "a merge fails: pushers have, or had within a day, a second bucket that is not known here. Give storage-api the same "
                "TAPEDECK_FALLBACK_STORE_URL; if it was given up, and no pusher that had it runs any more, delete the key in Redis",
                extra={"key": role_key(self._bus, url)},
            )
            detail = (
                "pushers have, or had within a day, a second bucket that storage-api does not know: nothing was merged; "
                "its operator has to give it the same TAPEDECK_FALLBACK_STORE_URL"
            )
            raise FailedError("store_unavailable", detail)

    async def _hold(self, sources: list[Conversation]) -> dict[Conversation, Frozen]:
        """The freezings, of those that go. All merges take in one order: of those that want each other's, one comes through."""
        frozen = {}
        for one in sorted((*sources, self._target), key=lambda one: one.cid):
            if one != self._target and self._request.delete_sources:
                frozen[one] = await self._take(one, self._freeze)
            else:
                await self._take(one, self._hold_one)
        for source in sources:
            await self._without_unfinished(source)
        return frozen

    async def _await_sockets(self, frozen: dict[Conversation, Frozen]) -> None:
        """Returns when nobody can append to a source any more, whoever was recording into it."""
        for source, stands in frozen.items():
            while stands.till_ms and await self._bus.clock.ms(source) < stands.till_ms:
                state = await self._bus.state(source)
                if state.newest is None or state.closed == state.newest.epoch:
                    break
                await asyncio.sleep(PAUSE_S)

    async def _without_unfinished(self, source: Conversation) -> None:
        """Takes away what the deletion of a part put and never made count: it lies beside the original, and both would be copied."""
        # Of the operation, so that the next turn need not wait for what a killed one held.
        replacing = Replacing(self._bus, source, self._turn.operation.id)
        if not await replacing.hold():
            raise LaterError(SOON_MS)
        try:
            await Place(self._services.bucket.store, replacing).begin()
        finally:
            await replacing.release()

    async def _hold_one(self, conversation: Conversation) -> None:
        await hold(self._bus, conversation, self._turn.operation.id, until_ms=await self._until_ms())

    async def _freeze(self, source: Conversation) -> Frozen:
        until_ms = await self._until_ms()
        return await freeze(
            self._bus,
            source,
            self._target,
            self._turn.operation.id,
            uuid.uuid4().hex,
            until_ms=until_ms,
            now_ms=until_ms - HELD_MS,
            grace_ms=self._grace_ms,
        )

    async def _until_ms(self) -> int:
        return await self._bus.clock.ms(self._target) + HELD_MS

    async def _take(self, one: Conversation, grip: Callable[[Conversation], Awaitable[T]]) -> T:
        try:
            try:
                return await grip(one)
            except HeldError as error:
                # Redis may have lost an operation, or its end: then nobody else lets go of what it held.
                other = await find(self._bus, error.operation_id)
                if other is not None and not other.done:
                    raise
                await thaw(self._bus, one, error.operation_id)
                return await grip(one)
        except HeldError as error:
            detail = f"{one.cid} is part of another merge; try again when that is done"
            raise FailedError("merging", detail) from error
        except (MergedError, ConversationDeletedError) as error:
            raise _went(one) from error

    async def _drained(self, sources: list[Conversation]) -> dict[Conversation, ConversationState]:
        """What stood of each when all that waited was stored: before its objects are listed."""
        draining = Draining(self._services, letters_matter=self._request.delete_sources)
        if not await draining.ask(sources, self._now_ms()):
            raise LaterError(WAITING_MS)
        return {source: await self._bus.state(source) for source in sources}

    async def _copy(self, sources: list[Conversation]) -> int:
        """The target's fence from before the pass that found all of them."""
        copying = Copying(self._bus, self._services.bucket.store, self._target)
        only: dict[Conversation, set[str] | None] = dict.fromkeys(sources)
        for _ in range(PASSES):
            clean = 0
            fence = (await self._bus.state(self._target)).fence
            target = await copying.look()
            for source in sources:
                done = await copying.run(source, target, only[source])
                clean += done.clean
                self._copies[source] = done.copies
                self._step.objects[source.cid] = max(
                    self._step.objects.get(source.cid, 0), done.objects + done.copied
                )
                # What a source that stays records meanwhile is not waited for.
                stays = not self._request.delete_sources and not done.vanished
                only[source] = done.names if stays else None
                await self._save(clean)
            # Nothing is looked at again where the sources stay.
            if clean == len(sources) and (
                self._request.delete_sources or await self._are_kept(sources, fence)
            ):
                return fence
        raise LaterError(SOON_MS)

    async def _are_kept(self, sources: list[Conversation], fence: int) -> bool:
        """Whether no copy of theirs has a name that is noted since, so that it will be deleted, or one of a cut: given up, that may be noted."""
        if (await self._bus.state(self._target)).fence != fence:
            return False
        cuts = await cuts_of(self._bus, self._target)
        return not any(speaks_of(cuts, name) for source in sources for name in self._copies[source] if cuts)

    async def _bury(self, source: Conversation, token: str, state: ConversationState, fence: int) -> None:
        # Copying may have taken long: where nothing held the target any more it may be deleted by now.
        await self._take(self._target, self._hold_one)
        if not await self._are_kept([source], fence):
            raise LaterError(SOON_MS)
        now_ms = self._now_ms()
        async with looked_at(self._bus, source, now_ms):
            try:
                what = await bury_merged(
                    self._bus,
                    source,
                    self._target,
                    token,
                    newest=state.newest,
                    fence=state.fence,
                    now_ms=now_ms,
                )
            except LettersError as error:
                raise letters(source) from error
            except (MergedError, ConversationDeletedError) as error:
                raise _went(source) from error
        if what is None:
            raise LaterError(SOON_MS)
        await self._services.hints.ready(source, "deleted")
        await self._erase(source, what)

    async def _erase(self, source: Conversation, what: Taken) -> None:
        """Books and objects of a source under its tombstone. Pushers sweep on until no put can be under way."""
        store = self._services.bucket.store
        await take_in(self._bus, self._target, source, what)
        await sweep(self._bus, source, self._now_ms())
        await erase(store, conversation_waveforms(*source))
        await erase(store, conversation_prefix(*source))
        # Whoever keeps one puts it, and then looks whether its audio is still there.
        await erase(store, conversation_waveforms(*source))
        await emptied(self._bus, source)
        self._done += 1
        await self._save()

    async def _save(self, copied: int = 0) -> None:
        self._copied = max(self._copied, copied + self._done)
        progress = Progress(
            sources=len(self._sources),
            sources_copied=self._copied,
            sources_done=self._done,
            objects=sum(self._step.objects.values()),
        )
        await self._turn.save(self._step, progress)
