"""The next batch of one conversation, worked out from its buffer: which entries, under which name, and the file itself.

Owns the reading around the pure cutter and builder: pages, dead letters, protection, what lies in the bucket already. It writes
nothing down; what it plans counts only once `bus.cut` has taken it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import VERSION, Cut, Stored
from audiobus.deletions import gone
from audiobus.replacing import not_counting
from audiobus.state import ConversationState
from audiobus.turn import Taken
from audiostore.names import BatchName
from pusher.already_stored import AlreadyStored
from pusher.arrived import Arrived
from pusher.batch_builder import Built
from pusher.buffer import Buffer
from pusher.cutter import Limits, ReadOn, Take, Wait, decide, oldest_ms
from pusher.errors import BuildError
from pusher.maker import Maker
from pusher.metrics import DEAD_UNBUILDABLE, DEAD_UNREADABLE, PusherMetrics
from pusher.protection import STANDARD, must_seal
from pusher.reason import Reason
from pusher.stored_ranges import covers
from pusher.unstored import Unstored


@dataclass(frozen=True, slots=True)
class Rest:
    """What was read behind a batch, all there was, and has to wait for more."""

    until_ms: int
    """When it will be due by itself, unix ms."""
    oldest_ms: int | None
    """When its oldest chunk was made, unix ms."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A batch that could be cut now, already built."""

    cut: Cut
    built: Built
    made_ms: int | None
    """When the oldest of its chunks was made, unix ms; None without one."""
    history: str = ""
    """The replication id under which it may be written down; empty where any will do."""
    rest: Rest | None = None
    """None where the conversation has to be looked at again once it is stored."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Something moved meanwhile, or was buried: begin with the state again."""


class Planner:
    """Plans for any conversation."""

    def __init__(
        self,
        bus: Bus,
        already_stored: AlreadyStored,
        unstored: Unstored,
        metrics: PusherMetrics,
        limits: Limits,
        maker: Maker,
        early: Callable[[], bool] = lambda: False,
    ) -> None:
        self._bus = bus
        self._already_stored = already_stored
        self._unstored = unstored
        self._metrics = metrics
        self._limits = limits
        self._early = early
        self._maker = maker

    async def plan(
        self,
        conversation: Conversation,
        state: ConversationState,
        now_ms: int,
        taken: Taken | None = None,
        *,
        protection: str | None = None,
    ) -> Planned | Wait | LookAgain:
        """What to do with the buffer of a conversation that has no standing cut.

        Args:
            conversation: which.
            state: as it stands.
            now_ms: unix ms.
            taken: what was read with the state: the first entries (`buffer.PAGE`), and the replication id.
            protection: the user's level, where it was read just now. Where the bucket is asked first, it is read again after that.

        Raises:
            KeptBackError: there is something to cut, and a key is missing: to seal it, or to see whether it is stored already.
            StoreError: the bucket could not be asked what it has.
            BusUnavailableError: Redis does not answer.
        """
        history = taken.history if taken else ""
        buffer = Buffer(self._bus, conversation, state, taken.entries if taken else None)
        if not await self._read_page(buffer, now_ms):
            return LookAgain()
        limits = replace(self._limits, early=self._early())
        while True:
            decided = await self._decide(conversation, state, buffer, limits, now_ms, history)
            if not isinstance(decided, tuple):
                return decided
            take, exclude, asked = decided
            if protection is None or asked:
                protection = await self._protection(conversation)
            sealed = must_seal(protection)
            entries = buffer.arrived[: take.count]
            try:
                built = await self._maker.make(
                    conversation,
                    entries,
                    state.preroll,
                    exclude,
                    sealed=sealed,
                    context_samples=take.context_samples,
                )
            except BuildError as error:
                # One of these entries is at fault: fewer and fewer are tried until it stands alone.
                if take.count > 1:
                    limits = replace(limits, entries=take.count // 2)
                    continue
                await self._bury(buffer, str(error), now_ms)
                return LookAgain()
            name = _name(conversation, take, sealed=sealed) if built.batch else ""
            cut = Cut(VERSION, str(take.first), str(take.last), name, protection, take.reason.value, exclude)
            made_ms = min((one.chunk.at_ms for one in entries if one.chunk), default=None)
            rest = self._rest(state, buffer, take, limits, now_ms)
            return Planned(cut, built, made_ms, history, rest)

    def _rest(
        self, state: ConversationState, buffer: Buffer, take: Take, limits: Limits, now_ms: int
    ) -> Rest | None:
        """What follows the batch of a conversation that goes on: nobody asked for anything, and all that there was has been read."""
        asked = state.flush is not None or state.again is not None or state.gone or state.export_waits
        left = buffer.arrived[take.count :]
        if asked or buffer.more or not left or take.reason not in (Reason.SIZE, Reason.AGE):
            return None
        after = msgspec.structs.replace(state, settled=take.last, hurried=False)
        decision = decide(left, after, more=False, now_ms=now_ms, limits=limits)
        if not isinstance(decision, Wait) or decision.until_ms is None:
            return None
        return Rest(decision.until_ms, oldest_ms(left))

    async def _decide(
        self,
        conversation: Conversation,
        state: ConversationState,
        buffer: Buffer,
        limits: Limits,
        now_ms: int,
        history: str,
    ) -> tuple[Take, tuple[Stored, ...], bool] | Wait | LookAgain:
        """The cutter's answer, with what must be left out because it is stored already, and whether a bucket was asked for that."""
        exclude: tuple[Stored, ...] = ()
        asked: tuple[int, int] | None = None
        while True:
            oldest = oldest_ms(buffer.arrived)
            since_ms = None
            if oldest is not None or not buffer.more:
                since_ms = self._unstored.saw(conversation, oldest, now_ms)
            decision = decide(
                buffer.arrived,
                state,
                more=buffer.more,
                now_ms=now_ms,
                limits=limits,
                phase=phase_of(conversation),
                exclude=exclude,
                since_ms=since_ms,
            )
            match decision:
                case ReadOn():
                    if not await self._read_page(buffer, now_ms):
                        return LookAgain()
                    continue
                case Wait():
                    return decision
            start_ms, end_ms = decision.start_ms, decision.end_ms
            needed = _needed(exclude, buffer.arrived[: decision.count])
            if start_ms is None or end_ms is None:
                return decision, needed, asked is not None
            known = self._already_stored.known(conversation, history, start_ms, end_ms)
            known = known and not state.export_waits
            if known or (asked and asked[0] <= start_ms and end_ms <= asked[1]):
                return decision, needed, asked is not None
            asked = (min(asked[0], start_ms), max(asked[1], end_ms)) if asked else (start_ms, end_ms)
            # What lies under these names is about to be deleted.
            # Also where all of them were seen to: a put that was stopped for long may bring one back for a moment.
            without = await gone(self._bus, conversation)
            unsure = partial(not_counting, self._bus, conversation)
            exclude = await self._already_stored.between(
                conversation, history, *asked, without=without, unsure=unsure
            )

    async def _protection(self, conversation: Conversation) -> str:
        settings = await self._bus.user_settings(conversation.uid)
        return settings.get("protection", STANDARD)

    async def _read_page(self, buffer: Buffer, now_ms: int) -> bool:
        """False where something was buried, or a cut came between: what was read with the state counts no more."""
        buried = False

        def note() -> None:
            nonlocal buried
            buried = True
            self._count_dead(DEAD_UNREADABLE)

        return await buffer.read_page(now_ms, on_buried=note) and not buried

    async def _bury(self, buffer: Buffer, reason: str, now_ms: int) -> None:
        if await buffer.bury(buffer.entries[0], reason, now_ms):
            self._count_dead(DEAD_UNBUILDABLE)

    def _count_dead(self, reason: str) -> None:
        self._metrics.dead[reason].inc()
        self._metrics.dead_letters.value += 1


def phase_of(conversation: Conversation) -> float:
    """Where in the minute this conversation's batches fall, 0 to 1."""
    # Not the hash that chooses the partition: it is the same for all that one partition holds, and uneven for names in a series.
    digest = hashlib.blake2b(conversation.tag.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 0xFFFFFFFF


def _name(conversation: Conversation, take: Take, *, sealed: bool) -> str:
    if take.start_ms is None or take.end_ms is None:
        return ""
    return BatchName(conversation.uid, conversation.cid, take.start_ms, take.end_ms, sealed=sealed).path


def _needed(exclude: Sequence[Stored], arrived: Sequence[Arrived]) -> tuple[Stored, ...]:
    """Those of the ranges that something here lies in: what the cut has to remember."""
    return tuple(one for one in exclude if any(span.span and covers((one,), span.span) for span in arrived))
