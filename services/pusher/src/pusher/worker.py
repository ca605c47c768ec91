"""The worker: drains one conversation under its lease, until there is nothing to cut.

Owns the order of architecture.md, "Draining": lease; a cut that stands first; read from the start; decide; write the cut down;
build; store, then finish (`store_put`); again, until nothing is to cut; then see to `due`, give the lease back, and
only then may the hint be acknowledged. Nothing here has a rule about audio in it.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

from audiobus import failures
from audiobus.answers import ConversationGone, CutStands, Marks, OtherCutStands, SettledMoved
from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import decode_cut
from audiobus.errors import BadEntryError, BusContractError, BusError
from audiobus.hints import Hints
from audiobus.standing_cut import still_stands
from audiobus.state import ConversationState
from audiobus.turn import Taken, UserRules, take, user_rules
from audiostore.errors import AudiostoreError
from audiostore.store import Store
from pusher.already_stored import AlreadyStored
from pusher.batch_span import BatchSpans
from pusher.buckets import Buckets, Turn
from pusher.buffer import PAGE
from pusher.circuit import Phase
from pusher.circuit_report import tell_change
from pusher.clearing import Cleared, Clearing
from pusher.cutter import Limits, Wait
from pusher.deleting import Deleting
from pusher.departure import Departure
from pusher.errors import BucketAwayError, PusherError
from pusher.failed_tries import FailedTries
from pusher.free_name import later, write_down
from pusher.guarded_store import GuardedStore, is_the_stores, without_names
from pusher.kept_back import KeptBack
from pusher.lease import LEASE_MS, Held, holding
from pusher.maker import Maker
from pusher.metrics import FAILED, PUT_OUTCOMES, PusherMetrics
from pusher.planner import Planned, Planner
from pusher.protection import STANDARD
from pusher.retries import Retries
from pusher.second_try import SecondTry
from pusher.standing import StandingCuts
from pusher.store_put import Outcome, Prepared, store_then_finish
from pusher.stored_batch import count_batch, count_put
from pusher.sweeper import Sweeper
from pusher.unstored import Unstored
from pusher.usage_notes import UsageNotes
from servicekit.logs import log_context

log = logging.getLogger(__name__)

BUSY_MS: Final = 2_000
"""How soon a conversation is looked at again whose lease somebody else holds (its hint may have come after the other's last look), or whose Redis is away."""
TROUBLED_AT_ONCE: Final = 16

_TROUBLE = (AudiostoreError, PusherError, BadEntryError, BusContractError)


class After(Enum):
    """What follows a look at a conversation."""

    DONE = auto()
    """Nothing: it is on `due`, or off it."""
    STORED = auto()
    """Another look: a batch was stored, and its user's tombstone looked at after the put."""
    MORE = auto()
    """Another look: something moved."""


def unix_ms() -> int:
    """The clock."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Worker:
    """Drains conversations; any number at once, but never one twice."""

    bus: Bus
    hints: Hints
    store: Store
    metrics: PusherMetrics
    holder: str
    """Who holds the leases: a name that stays over restarts, so that a restarted pusher takes its own over at once."""
    limits: Limits
    now_ms: Callable[[], int] = unix_ms
    second: Store | None = None
    """A bucket for when the first has been away for a minute."""
    stopping: Callable[[], bool] = lambda: False
    """Asked between two batches: whether to leave the rest to others."""
    early: Callable[[], bool] = lambda: False
    """Whether Redis' memory is short: then a buffer gives what it has."""
    lease_ms: int = LEASE_MS
    troubled_at_once: int = TROUBLED_AT_ONCE
    """Of those whose last try failed, so many are tried at the same time: their objects may hang, and others want the slots."""
    lending: Callable[[], AbstractContextManager[None]] = nullcontext
    """Around each wait for a bucket to take an object: those that wait long stand in nobody's way."""
    retries: Retries = field(default_factory=Retries)
    unstored: Unstored = field(default_factory=Unstored)
    kept_back: KeptBack = field(default_factory=KeptBack)
    maker: Maker = field(default_factory=Maker)
    usage: UsageNotes = field(default_factory=UsageNotes)
    spans: BatchSpans = field(default_factory=BatchSpans)
    buckets: Buckets = field(init=False)
    _already_stored: AlreadyStored = field(init=False)
    _planner: Planner = field(init=False)
    _standing: StandingCuts = field(init=False)
    _deleting: Deleting = field(init=False)
    _departure: Departure = field(init=False)
    _second_try: SecondTry = field(init=False)
    _failed_tries: FailedTries = field(init=False)
    _troubled: int = 0

    def __post_init__(self) -> None:
        second = GuardedStore("second", self.second, self.now_ms) if self.second is not None else None
        self.buckets = Buckets(GuardedStore("first", self.store, self.now_ms), second)
        for bucket in self.buckets.all:
            bucket.on_change = self._circuit_changed
            self.metrics.circuit_is(bucket.name, bucket.circuit.phase)
        self._deleting = Deleting(
            self.bus,
            self.hints,
            self.buckets,
            Clearing(self.bus, self.metrics.books, self.usage),
            Sweeper(self.bus, self.metrics.books),
            self.now_ms,
        )
        self._already_stored = AlreadyStored(self.buckets, self.maker.keys)
        self._planner = Planner(
            self.bus, self._already_stored, self.unstored, self.metrics, self.limits, self.maker, self.early
        )
        self._standing = StandingCuts(self.bus, self.maker, self.buckets, self._already_stored)
        self._departure = Departure(
            self.bus, self.hints, self.usage, self.limits.batch_ms, self.now_ms, self._deleted
        )
        self._failed_tries = FailedTries(
            self.bus, self.hints, self.buckets, self.retries, self.kept_back, self.metrics, self.now_ms
        )
        self._second_try = SecondTry(
            self.bus,
            self.hints,
            self.buckets,
            self.maker,
            self.limits,
            self.metrics,
            self.now_ms,
            self.stopping,
        )

    async def drain(self, conversation: Conversation) -> None:
        """Stores what is to be stored now. When it returns, the conversation is on `due` as it should be: acknowledge the hint.

        Raises:
            BusUnavailableError: Redis went away; the hint must stay.
        """
        not_before_ms = self.retries.not_before_ms(conversation, self.now_ms())
        waits_for_store = not self.buckets.well and self.retries.waits_for_store(conversation)
        if self.now_ms() < not_before_ms and not waits_for_store:
            await self.hints.push_due(conversation, not_before_ms)
            return
        if conversation in self.retries:
            if self._troubled >= self.troubled_at_once:
                await self.hints.due(conversation, self.now_ms() + BUSY_MS)
                return
            self._troubled += 1
            try:
                await self._take_turn(conversation)
            finally:
                self._troubled -= 1
        else:
            await self._take_turn(conversation)

    async def put_off(self, conversation: Conversation) -> None:
        """Has it looked at a little later: Redis did not answer for it.

        Raises:
            BusUnavailableError: nor does it for `due`.
        """
        await self.hints.due(conversation, self.now_ms() + BUSY_MS)

    async def _take_turn(self, conversation: Conversation) -> None:
        """Drains it, if a bucket may be asked at the moment."""
        with self.buckets.turn(conversation, failed_last=conversation in self.retries) as turn:
            if isinstance(turn, Turn):
                await self._under_lease(conversation, turn)
            else:
                await self._deleting.clear(conversation)
                # Earlier if somebody wanted that: another pusher may reach the bucket.
                await self.hints.due(conversation, turn.until_ms)

    async def _under_lease(self, conversation: Conversation, turn: Turn) -> None:
        taken = await self._take(conversation)
        if taken is None:
            return
        async with holding(self.bus, conversation, self.holder, self.lease_ms) as held:
            with log_context(conversation_id=conversation.cid):
                await self._work(conversation, turn, taken, held)

    async def _take(self, conversation: Conversation) -> Taken | None:
        """The lease, and what there is to know; None where somebody else holds it."""
        taken = await take(self.bus, conversation, self.holder, self.lease_ms, entries=PAGE)
        if taken is None:
            # On `due` before the hint is acknowledged: else, if the other one dies, nobody would look.
            await self.hints.due(conversation, self.now_ms() + BUSY_MS)
        return taken

    async def _work(self, conversation: Conversation, turn: Turn, taken: Taken, held: Held) -> None:
        try:
            await self._drain(conversation, turn, taken, held)
        except BucketAwayError:
            await self.hints.push_due(conversation, self.buckets.give_back(conversation).until_ms)
        except _TROUBLE as error:
            await self._failed_tries.book(conversation, error)
        except BusError:
            raise  # nothing can be booked: the hint stays, and whoever reads it tries again
        except Exception as error:  # noqa: BLE001 - the top of one conversation's work: what nobody foresaw is tried again as any failure is, told and with growing pauses
            await self._failed_tries.book(conversation, error, foreseen=False)
        else:
            if conversation in self.retries:
                await failures.forget(self.bus, conversation)
            self.retries.worked(conversation)
            self.kept_back.goes_on(conversation)

    async def _drain(self, conversation: Conversation, turn: Turn, taken: Taken, held: Held) -> None:
        after = After.MORE
        seen: Taken | None = taken
        while after is not After.DONE:
            if self.stopping():
                await self.hints.due(conversation, self.now_ms())
                return
            if seen is None and (seen := await self._take(conversation)) is None:
                return
            # What a user deleted was looked at after the last put; how they are protected is read for each cut.
            rules = None if after is After.STORED else await user_rules(self.bus, conversation.uid)
            after = await self._look(conversation, seen, rules, turn, held)
            seen = None

    async def _look(
        self, conversation: Conversation, taken: Taken, rules: UserRules | None, turn: Turn, held: Held
    ) -> After:
        """One look at the conversation: what is deleted of it goes, or else what is to be stored next is stored."""
        state = taken.state()
        before_ms = rules.before_ms if rules else self._deleting.clearing.before_ms(conversation)
        cleared = await self._deleting.look(conversation, state, Marks(taken.deleted, before_ms))
        if cleared is Cleared.ALL:
            return await self._deleted(conversation)
        if cleared is Cleared.SOME:
            return After.MORE
        if state.cut is not None:
            return await self._carry_out(conversation, state, state.cut, taken.history, turn)
        return await self._go_on(conversation, taken, state, rules, turn, held)

    async def _go_on(
        self,
        conversation: Conversation,
        taken: Taken,
        state: ConversationState,
        rules: UserRules | None,
        turn: Turn,
        held: Held,
    ) -> After:
        """No cut stands: the next one is planned and carried out, or there is none."""
        protection = rules.settings.get("protection", STANDARD) if rules else None
        planned = await self._planner.plan(conversation, state, self.now_ms(), taken, protection=protection)
        if isinstance(planned, Wait):
            return await self._leave(conversation, state, planned.until_ms, held, buffered=taken.buffered)
        if not isinstance(planned, Planned) or self._deleting.is_deleted(conversation, planned.made_ms):
            return After.MORE
        after = await self._cut(conversation, state, planned, turn)
        if after is After.STORED and planned.rest is not None and not self.stopping():
            # What else was read has to wait, and whether more came is looked at with the lease: nothing needs to be read again for that.
            self.unstored.saw(conversation, planned.rest.oldest_ms, self.now_ms())
            return await self._leave(conversation, state, planned.rest.until_ms, held, buffered=True)
        return after

    async def _leave(
        self,
        conversation: Conversation,
        state: ConversationState,
        until_ms: int | None,
        held: Held,
        *,
        buffered: bool,
    ) -> After:
        """Nothing is to be cut now; dead letters that were marked for another try come next."""
        going_on = await self._departure.leave(conversation, state, until_ms, held, buffered=buffered)
        if state.again is not None and not going_on:
            await self._second_try.run(conversation)
        return After.MORE if going_on else After.DONE

    async def _cut(
        self, conversation: Conversation, state: ConversationState, planned: Planned, turn: Turn
    ) -> After:
        """Writes the next batch down, and stores it."""
        answer, cut = await write_down(self.bus, conversation, planned.cut, state, history=planned.history)
        match answer:
            case CutStands():
                prepared = Prepared(conversation, cut, cut.encode(), planned.built, self.maker.keys.ring())
                prepared = replace(prepared, just_cut=True, look_first=turn.unlisted)
                return await self._store(prepared, state, turn)
            case ConversationGone():
                return await self._deleted(conversation)
            case OtherCutStands() | SettledMoved():
                return After.MORE

    async def _carry_out(
        self, conversation: Conversation, state: ConversationState, raw: bytes, history: str, turn: Turn
    ) -> After:
        """Makes the object of a cut that stands already, exactly as whoever wrote it down would have."""
        if not await still_stands(self.bus, conversation, raw):
            return After.MORE
        remade = await self._standing.remake(conversation, state, raw, history, self.now_ms())
        if remade is None:
            return After.MORE
        prepared = Prepared(conversation, decode_cut(raw), raw, remade.built, self.maker.keys.ring())
        # Whoever wrote it down may have been unable to look into the first bucket, or have looked before an export was copied there.
        look_first = self.buckets.second is not None or state.export_waits or remade.lies_there
        return await self._store(replace(prepared, look_first=look_first), state, turn)

    async def _store(self, prepared: Prepared, state: ConversationState, turn: Turn) -> After:
        """Stores and settles."""
        conversation = prepared.conversation
        with self.spans.around(prepared) as tell:
            outcome, bucket = await self._store_somewhere(prepared, turn)
            tell(outcome, bucket.name)
        match outcome:
            case Outcome.TAKEN:
                return await self._rename(prepared, state)
            case Outcome.DELETED:
                return await self._deleted(conversation)
            case Outcome.OVERTAKEN | Outcome.MARKED:
                return After.MORE
        self.retries.worked(conversation)
        self.kept_back.goes_on(conversation)
        count_batch(self.metrics, prepared)
        if bucket is not self.buckets.first and outcome is not Outcome.NOTHING_TO_PUT:
            self.metrics.fallback_batches.inc()
        return After.STORED

    async def _store_somewhere(self, prepared: Prepared, turn: Turn) -> tuple[Outcome, GuardedStore]:
        """Stores in the first bucket that takes it, and settles.

        A reply that was lost may have left it in the one before, too: the same runs under the same name. Moving home makes that good.

        Raises:
            BucketAwayError: none may be asked any more.
        """
        places = self.buckets.places(turn)
        before_ms = self._deleting.clearing.before_ms(prepared.conversation)
        for bucket in places:
            begun = time.perf_counter()
            tried = replace(
                prepared,
                before_ms=before_ms,
                just_cut=prepared.just_cut and bucket is places[0],
                look_first=prepared.look_first and bucket is self.buckets.first,
            )
            try:
                with self.lending():
                    outcome = await store_then_finish(self.bus, bucket, tried, self.now_ms())
            except (AudiostoreError, PusherError) as error:
                count_put(self.metrics, FAILED, begun)
                if bucket is places[-1] or not is_the_stores(error):
                    raise
                log.warning("the first bucket did not take it", extra={"error": without_names(error)})
                continue
            count_put(self.metrics, PUT_OUTCOMES.get(outcome), begun)
            return outcome, bucket
        raise BucketAwayError("no bucket may be asked at the moment")

    async def _rename(self, prepared: Prepared, state: ConversationState) -> After:
        """Other runs have the name: the same cut, ending a millisecond later, takes the place of this one."""
        log.info("the name is taken by other runs", extra={"object": prepared.cut.name})
        answer, _ = await write_down(
            self.bus, prepared.conversation, later(prepared.cut), state, replaces=prepared.raw
        )
        if isinstance(answer, ConversationGone):
            return await self._deleted(prepared.conversation)
        return After.MORE

    async def _deleted(self, conversation: Conversation) -> After:
        """Under a tombstone nothing is stored, and what was goes."""
        self.unstored.saw(conversation, None, self.now_ms())
        await self._deleting.sweep(conversation)
        return After.DONE

    def _circuit_changed(self, bucket: GuardedStore, before: Phase) -> None:
        self.metrics.circuit_is(bucket.name, bucket.circuit.phase)
        tell_change(bucket, before)
        self._already_stored.forget(bucket)
        if bucket.circuit.closed:
            self.buckets.back.set()
