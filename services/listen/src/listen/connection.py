"""One socket: gives what comes to the session, and does what it answers. Owns the socket's tasks; no rule of the protocol.

What the client sends comes as calls of the wire, so an open socket costs no task: only a command to Redis or an encoding under
way is one.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final, Protocol

from audiobus import Appended, Bus, Conversation, Hints, Misplaced, Replaced, UserRequest, Writer
from audiobus.errors import (
    BusError,
    BusFullError,
    BusUnavailableError,
    ConversationDeletedError,
    FormatMismatchError,
    MergingError,
    StaleSocketError,
)
from listen.actions import (
    Action,
    Append,
    AskToStore,
    Close,
    Count,
    Due,
    Encode,
    LookStored,
    LookUser,
    Open,
    Ready,
    SendText,
    Watch,
    WriteUsage,
)
from listen.budget import Budget, Share
from listen.commit import append_then_acknowledge
from listen.encoding import SocketEncoder
from listen.frames import DEFECT
from listen.handover import Handover
from listen.high_water import HighWater
from listen.late_usage import LateUsage
from listen.metrics import ListenMetrics
from listen.session import Session
from listen.terms import Terms

log = logging.getLogger(__name__)

SEVERAL: Final = 25
"""Messages that are taken at once: half of most devices' chunk. None waits longer than from one tick to the next."""
SMALL_BYTES: Final = 2 * 1024
"""Only messages up to this size are."""
HINT_PAUSES_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Between tries to place a hint. What then is still missing, the pusher finds by itself."""
HINTS_LIMIT: Final = 16
"""Hints of one socket that are being placed; one more is left out, and costs a delay, never audio."""
WEIGH_BYTES: Final = 32 * 1024
"""Between two ticks so much may come before the budget hears of it."""


class Wire(Protocol):
    """The socket, as a connection needs it."""

    def send(self, text: str) -> None:
        """Sends a text message; dropped where nobody can get it any more."""

    def close(self, code: int) -> None:
        """Closes after what was sent before, and throws away what still comes."""

    def abort(self) -> None:
        """Cuts the client off."""

    def pause(self) -> None:
        """Stops reading."""

    def resume(self) -> None:
        """Goes on reading."""

    @property
    def unsent_bytes(self) -> int:
        """What waits for the client to read it."""


def now_ms() -> int:
    """Unix time."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Backend:
    """What all sockets of a process share."""

    bus: Bus
    hints: Hints
    writer: Writer
    encoders: Executor
    metrics: ListenMetrics
    budget: Budget
    high_water: HighWater
    late_usage: LateUsage
    handover: Handover


class Connection:
    """One accepted socket and its session."""

    def __init__(self, terms: Terms, encoder: SocketEncoder, backend: Backend, *, request_id: str) -> None:
        self._terms = terms
        self._session = Session(terms)
        self._encoder = encoder
        self._backend = backend
        self._request_id = request_id
        """Of its handshake, for the logs."""
        self._wire: Wire = _NO_WIRE
        self._ended: Callable[[], None] = _nobody
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = True
        self._closed = False
        """The session is over."""
        self._left = False
        """The client is gone."""
        self._received = 0
        """Binary messages since the last tick."""
        self._share: Share | None = None
        """Of the budget, while the socket is there."""
        self._unweighed = 0
        """Bytes that came since the budget heard of this socket."""
        self._hints = 0
        """Being placed."""
        self._rests_until_ms = 0
        """A calm session need not be told the time before."""
        self._several: list[bytes] = []
        """Messages that the session does not have yet: for no longer than from one tick to the next."""
        self._several_since_ms = 0
        """When the first of them came."""
        self._takes_several = False

    # -- life --------------------------------------------------------------------------------------------------------

    def begin(self, wire: Wire, ended: Callable[[], None]) -> None:
        """The socket is accepted; `ended` is called when session, socket and tasks have ended."""
        self._wire = wire
        self._ended = ended
        self._share = self._backend.budget.enter()
        self.feed(lambda: self._session.start(now_ms()))
        if self._reading:
            wire.resume()

    def pulse(self, at_ms: int) -> None:
        """Time has passed. Ten times a second: a session that is calm looks at it only now and then."""
        if at_ms >= self._rests_until_ms or not self._session.calm:
            self.tick(at_ms)
            self._rests_until_ms = self._session.calm_until_ms(at_ms)

    def tick(self, at_ms: int) -> None:
        """Time has passed, and is looked at."""
        if self._received:
            self._backend.metrics.received[self._terms.audio_format.codec].inc(self._received)
            self._received = 0
        self._take_several()
        self._weigh()
        self.feed(lambda: self._session.tick(at_ms))

    def going_away(self, reconnect_after_ms: int) -> None:
        """Tells the client that `leave` is near."""
        self.feed(lambda: self._session.going_away(reconnect_after_ms))

    def leave(self) -> None:
        """Makes everything safe and closes with 1012."""
        self._take_several()
        self.feed(lambda: self._session.leave(now_ms()))

    def give_up(self) -> None:
        """Closes with 1012, though not everything is safe: there is no more time."""
        self.feed(self._session.give_up)

    def supersede(self) -> None:
        """A newer socket has come for the conversation: what came here is made safe first."""
        self.feed(lambda: self._session.superseded(now_ms()))

    def abort(self) -> None:
        """The client has had its time to take the close, and to answer it."""
        self._closed = True
        self._backend.handover.leave(self)
        self._wire.abort()

    @property
    def over(self) -> bool:
        """Whether the session is over: all that is left is the client's answer to the close."""
        return self._closed

    @property
    def waiting_samples(self) -> int:
        """Audio that is not safe yet, at 48 kHz."""
        return self._session.waiting_samples

    def feed(self, event: Callable[[], list[Action]]) -> None:
        """Gives the session an event, and does what it answers. A defect ends this socket, and no other."""
        if self._closed:
            return
        session = self._session
        try:
            for action in event():
                self._perform(action)
        except Exception as error:  # noqa: BLE001 - the top of everything that a socket sets off
            self._broke(error)
        self._takes_several = session.takes_several
        reading = session.reading
        if reading is not self._reading:
            self._reading = reading
            if reading:
                self._wire.resume()
            else:
                self._wire.pause()

    # -- the client: what the wire tells -----------------------------------------------------------------------------

    def binary(self, data: bytes) -> None:
        """A binary message, fifty of which come each second: those that change nothing by themselves are taken several at once."""
        if self._takes_several and len(data) <= SMALL_BYTES:
            several = self._several
            if not several:
                self._several_since_ms = now_ms()
            several.append(data)
            if len(several) >= SEVERAL:
                self._take_several()
            return
        self._take_several()
        self._received += 1
        self.feed(lambda: self._session.binary(data, now_ms()))
        self._unweighed += len(data)
        if self._unweighed > WEIGH_BYTES:
            self.tick(now_ms())

    def _take_several(self) -> None:
        """Gives the session what was kept for a moment: before anything else that the client does."""
        if self._several:
            several, self._several = self._several, []
            self._received += len(several)
            self.feed(lambda: self._session.several(several, self._several_since_ms, now_ms()))
            self._unweighed += sum(map(len, several))
            if self._unweighed > WEIGH_BYTES:
                self.tick(now_ms())

    def text(self, text: str) -> None:
        """A text message."""
        self._take_several()
        self.feed(lambda: self._session.text(text, now_ms()))

    def failed(self, code: int, reason: str) -> None:
        """What came is no WebSocket message, or none that can be taken; nothing comes after it."""
        if code == DEFECT:
            self._broke(RuntimeError(reason))
            return
        self._take_several()
        self.feed(lambda: self._session.unreadable(code, reason, now_ms()))

    def gone(self) -> None:
        """The client is gone."""
        self._left = True
        self._take_several()
        self.feed(lambda: self._session.disconnected(now_ms()))
        self._end_if_over()

    def _weigh(self) -> None:
        """Tells the budget what this socket holds, and the session how much that may be."""
        self._unweighed = 0
        budget, unsent_bytes = self._backend.budget, self._wire.unsent_bytes
        if self._share is not None:
            self._share.weigh(self._session.held_bytes + unsent_bytes)
        self._session.allow(budget.allowance_bytes, budget.tail_bytes)
        if unsent_bytes > budget.unsent_bytes:
            log.info("a client does not read what it is sent, and memory is short: it is cut off")
            self._wire.abort()

    def _broke(self, error: BaseException) -> None:
        incident = secrets.token_hex(4)
        log.error(
            "a socket broke", exc_info=error, extra={"incident": incident, "request_id": self._request_id}
        )
        for action in self._session.broke(incident):
            self._perform(action)

    # -- what the session asks for -----------------------------------------------------------------------------------

    def _perform(self, action: Action) -> None:  # noqa: C901, PLR0912 - one case for each action
        metrics = self._backend.metrics
        match action:
            case SendText(text):
                self._wire.send(text)
            case Append():
                self._spawn(self._append(action), "append")
            case Encode():
                self._spawn(self._encode(action), "encode")
            case Open():
                self._spawn(self._open(action), "open")
            case AskToStore():
                self._spawn(self._ask(action), "ask")
            case LookStored():
                self._spawn(self._look(action), "look")
            case LookUser():
                self._spawn(self._look_up(action), "user")
            case WriteUsage(totals):
                self._backend.late_usage.put(self._terms.uid, totals)
            case Watch(cid, due_at_ms):
                conversation = Conversation(self._terms.uid, cid)
                self._hint(lambda: self._backend.hints.due(conversation, due_at_ms))
                self._hint(lambda: self._backend.bus.note_live(conversation, now_ms()))
            case Due(cid, at_ms):
                conversation = Conversation(self._terms.uid, cid)
                self._hint(lambda: self._backend.hints.due(conversation, at_ms))
            case Ready(cid, reason):
                conversation = Conversation(self._terms.uid, cid)
                self._hint(lambda: self._backend.hints.ready(conversation, reason))
            case Close(code):
                metrics.closes[str(code)].inc()
                codec, request_id = self._terms.audio_format.codec, self._request_id
                log.info("a socket ended", extra={"code": code, "codec": codec, "request_id": request_id})
                self._closed = True
                self._backend.handover.leave(self)
                self._wire.close(code)
                self._end_if_over()
            case Count():
                self._count(action)

    def _count(self, count: Count) -> None:
        metrics = self._backend.metrics
        match count.what:
            case "appended_samples":
                metrics.audio_received.inc(count.amount / 48_000)
            case "lost_samples":
                metrics.audio_lost.inc(count.amount / 48_000)
                log.error("Redis lost what it had confirmed", extra={"about_seconds": count.amount / 48_000})
            case "rejected":
                metrics.rejected[count.label].inc(count.amount)
            case "spoiled":
                metrics.spoiled.inc(count.amount)
            case "opened":
                metrics.resumes[count.label].inc()
            case "backpressure":
                metrics.backpressure[count.label].inc()
            case "looked":
                metrics.user_looks[count.label].inc()
            case "told":
                metrics.usage_told[count.label].inc()

    async def _encode(self, action: Encode) -> None:
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._backend.encoders, self._encoder.run, action.job)
        self.feed(lambda: self._session.encoded(result, now_ms()))

    async def _append(self, action: Append) -> None:
        began = time.monotonic()
        try:
            await append_then_acknowledge(self._backend.writer, action.request, self._appended)
        except BusError as error:
            self._failed("append", error)
        else:
            metrics = self._backend.metrics
            metrics.append_seconds.observe(time.monotonic() - began)
            metrics.ack_seconds.observe(max(0, now_ms() - action.closed_at_ms) / 1000)

    def _appended(self, answer: Appended | Replaced | Misplaced) -> None:
        if isinstance(answer, Appended):
            self.feed(lambda: self._session.appended(answer, now_ms()))
        else:
            self.feed(lambda: self._session.append_refused(answer, now_ms()))

    async def _open(self, action: Open) -> None:
        conversation = Conversation(self._terms.uid, action.conversation_id)
        if self._terms.dialect == "plain" and not (action.own or self._closed):
            await self._backend.handover.take(conversation, self)
        if self._closed:
            return
        try:
            answer = await self._backend.bus.open(
                conversation,
                owner=self._terms.owner,
                format=str(self._terms.audio_format),
                now_ms=now_ms(),
                resume=action.resume,
                own=action.own,
                arrived_ms=action.arrived_ms,
            )
        except BusError as error:
            self._failed("open", error)
        else:
            self.feed(lambda: self._session.opened(answer, now_ms()))

    async def _ask(self, action: AskToStore) -> None:
        conversation = Conversation(self._terms.uid, action.conversation_id)
        try:
            answer = await self._backend.bus.ask(
                conversation, action.reason, owner=self._terms.owner, ends=action.ends
            )
            if not isinstance(answer, Replaced):
                await self._backend.hints.ready(conversation, action.reason)
        except BusError as error:
            self._failed("ask", error)
            return
        if isinstance(answer, Replaced):
            self.feed(lambda: self._session.append_refused(answer, now_ms()))
        else:
            self.feed(lambda: self._session.asked(now_ms()))

    async def _look(self, action: LookStored) -> None:
        conversation = Conversation(self._terms.uid, action.conversation_id)
        try:
            settled, dead_offset = await self._backend.bus.stored(conversation, action.epoch)
        except BusError as error:
            self._failed("look", error)
        else:
            self.feed(lambda: self._session.looked(settled, dead_offset, now_ms()))

    async def _look_up(self, action: LookUser) -> None:
        request = UserRequest(self._terms.uid, action.day, action.default_limit_ms, action.totals)
        try:
            user = await self._backend.writer.look_up_user(request)
        except BusError as error:
            if not isinstance(error, BusUnavailableError):
                log.exception("a user's settings or use cannot be read")
            self.feed(lambda: self._session.unavailable("user", now_ms()))
        else:
            self.feed(lambda: self._session.looked_up(user, now_ms()))

    def _failed(self, what: str, error: BusError) -> None:
        """A command to Redis failed: translated into the session's events."""
        session = self._session
        match error:
            case BusUnavailableError():
                full = isinstance(error, BusFullError)
                self._backend.metrics.redis_failures["full" if full else "away"].inc()
                if full:
                    self._backend.high_water.refused()
                self.feed(lambda: session.unavailable(what, now_ms()))
            case ConversationDeletedError():
                self.feed(
                    lambda: session.refused("conversation_deleted", 4404, "the conversation is deleted")
                )
            case MergingError():
                self.feed(lambda: session.refused("merging", 4409, f"it is being merged into {error.target}"))
            case StaleSocketError():
                self.feed(session.stale)
            case FormatMismatchError():
                self.feed(
                    lambda: session.refused(
                        "bad_parameter", 4400, "the session was recorded with another codec, rate or channels"
                    )
                )
            case _:
                self.feed(lambda: _raise(error))

    # -- tasks -------------------------------------------------------------------------------------------------------

    def _hint(self, place: Callable[[], Awaitable[None]]) -> None:
        if self._hints >= HINTS_LIMIT:
            self._backend.metrics.hints_left_out.inc()
            return
        self._hints += 1
        self._spawn(self._place(place), "hint")

    async def _place(self, place: Callable[[], Awaitable[None]]) -> None:
        try:
            await _persist(place)
        finally:
            self._hints -= 1

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._closed:
            self._broke(error)
        self._end_if_over()

    def _end_if_over(self) -> None:
        """Ends with the last of session, client and tasks. A hint that is under way then costs a delay, never audio."""
        if not (self._closed and self._left):
            return
        for task in self._tasks:
            task.cancel()
        if not self._tasks:
            ended, self._ended = self._ended, _nobody
            self._wire = _NO_WIRE
            if self._share is not None:
                self._share.leave()
                self._share = None
            ended()


async def _persist(place: Callable[[], Awaitable[None]]) -> None:
    """Places a hint. One that is lost costs a delay, never audio."""
    for pause_s in HINT_PAUSES_S:
        try:
            await place()
        except BusUnavailableError:
            await asyncio.sleep(pause_s)
        else:
            return


def _raise(error: Exception) -> list[Action]:
    raise error


class _NoWire:
    """Before a socket is there, and after it."""

    def send(self, text: str) -> None:
        """Nobody gets it."""

    def close(self, code: int) -> None:
        """It is."""

    def abort(self) -> None:
        """It is."""

    pause = resume = abort
    unsent_bytes = 0


_NO_WIRE: Final = _NoWire()


def _nobody() -> None:
    """Nobody waits for the end."""
