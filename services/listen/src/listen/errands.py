"""What a session asks for that takes time: commands to Redis and encodings. Their answers come back to it as events.

Owns the tasks, and what an error of Redis means to a session. Must not wait for anything itself.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, Protocol

from audiobus import Appended, Asked, Conversation, Misplaced, Opened, Replaced, UserRequest
from audiobus.errors import (
    BusError,
    BusFullError,
    BusRefusedError,
    BusUnavailableError,
    ConversationDeletedError,
    FormatMismatchError,
    MergedError,
    MergingError,
    StaleSocketError,
)
from audiobus.merging import goes_into
from audiobus.tombstone import merged_into
from listen import close_codes, messages
from listen.actions import (
    Action,
    Append,
    AskToStore,
    Due,
    Encode,
    LookMerging,
    LookStored,
    LookUser,
    Open,
    Ready,
    Watch,
)
from listen.backend import Backend, now_ms
from listen.commit import append_then_acknowledge
from listen.encoding import SocketEncoder
from listen.errors import RefusedError
from listen.session import Session
from listen.terms import Terms

log = logging.getLogger(__name__)

HINT_PAUSES_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Between tries to place a hint. What then is still missing, the pusher finds by itself."""
HINTS_LIMIT: Final = 16
"""Hints of one socket that are being placed; one more is left out, and costs a delay, never audio."""

MERGES: Final = 8
"""So often a conversation may have gone into another, and that into another, for a device that comes back to be brought there."""


class Socket(Protocol):
    """Whose errands they are."""

    def feed(self, event: Callable[[], list[Action]]) -> None:
        """Gives the session an event."""

    def errand_done(self, error: BaseException | None) -> None:
        """An errand has ended, or broke."""

    @property
    def over(self) -> bool:
        """Whether its session is."""

    def supersede(self) -> None:
        """A newer socket has come for the conversation."""

    def replaced(self) -> None:
        """A newer socket has opened the conversation."""


class Errands:
    """The errands of one socket."""

    __slots__ = ("_arrived", "_backend", "_encoder", "_hints", "_session", "_socket", "_tasks", "_terms")

    def __init__(
        self, terms: Terms, session: Session, encoder: SocketEncoder, backend: Backend, socket: Socket
    ) -> None:
        self._terms = terms
        self._session = session
        self._encoder = encoder
        self._backend = backend
        self._socket = socket
        self._tasks: set[asyncio.Task[None]] = set()
        self._hints = 0
        """Being placed."""
        self._arrived: tuple[tuple[Conversation, int], int] | None = None

    def run(self, action: Action) -> None:  # noqa: C901 - one case for each errand
        """Sets off to do it."""
        match action:
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
            case LookMerging(cid):
                conversation = Conversation(self._terms.uid, cid)
                if self._backend.merge_news.tells_of(conversation):
                    self._spawn(self._look_merging(conversation), "merging")
            case LookUser():
                self._spawn(self._look_up(action), "user")
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
            case _:
                raise AssertionError(f"{type(action).__name__} is no errand")

    def cancelled(self) -> bool:
        """Ends all that are under way. Whether none is: else it comes back to `errand_done`."""
        for task in self._tasks:
            task.cancel()
        return not self._tasks

    async def _encode(self, action: Encode) -> None:
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._backend.encoders, self._encoder.run, action.job)
        self._socket.feed(lambda: self._session.encoded(result, now_ms()))

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
            self._socket.feed(lambda: self._session.appended(answer, now_ms()))
        else:
            self._socket.feed(lambda: self._session.append_refused(answer, now_ms()))

    async def _open(self, action: Open) -> None:
        conversation = Conversation(self._terms.uid, action.conversation_id)
        handover = self._backend.handover
        if self._terms.dialect == "plain" and not (action.own or self._socket.over):
            await handover.take(conversation, self._socket, action.arrived_ms)
        elif not action.own:
            handover.leave(self._socket)  # it has changed its conversation
        if self._socket.over:
            return
        if not self._may_begin(action):
            return
        try:
            where, answer, arrived_ms = await self._open_where_it_is(conversation, action)
        except BusError as error:
            self._not_begun(action)
            self._failed("open", error)
        else:
            if answer.resumed:
                self._not_begun(action)
            self._socket.feed(lambda: self._session.opened(answer, now_ms(), where.cid))
            handover.opened(where, self._socket, arrived_ms)

    async def _open_where_it_is(
        self, conversation: Conversation, action: Open
    ) -> tuple[Conversation, Opened, int]:
        """Opens it; where it went into another one since the client was there, a fresh session of that. Which, and when the socket came.

        Raises:
            BusError: as `Bus.open`.
        """
        former: MergedError | None = None
        for _ in range(MERGES):
            arrived_ms = await self._arrival(conversation, action.arrived_ms)
            try:
                answer = await self._backend.bus.open(
                    conversation,
                    owner=self._terms.owner,
                    format=str(self._terms.audio_format),
                    now_ms=now_ms(),
                    # Another conversation may have a session of the same name.
                    resume=action.resume if former is None else None,
                    own=action.own,
                    arrived_ms=arrived_ms,
                )
            except MergedError as error:
                former, target = error, error.target
            except ConversationDeletedError:
                further = None if former is None else await merged_into(self._backend.bus, conversation)
                if further is None:
                    raise
                target = further
            else:
                if former is not None:
                    answer = replace(answer, previous_offset=former.previous_offset)
                return conversation, answer, arrived_ms
            conversation = Conversation.from_tag(target)
        raise ConversationDeletedError(
            f"{conversation.tag} went from one conversation into another too often"
        )

    def _may_begin(self, action: Open) -> bool:
        """Whether its user may begin one more session. It is counted, and stays so where the socket goes while it opens: it may begin."""
        if action.own:
            return True  # one that Redis has lost, not one more
        try:
            self._backend.session_rate.take(self._terms.uid, action.resume, time.monotonic())
        except RefusedError as error:
            self._refused(error)
            return False
        return True

    def _not_begun(self, action: Open) -> None:
        if not action.own:
            self._backend.session_rate.give_back(self._terms.uid, action.resume)

    async def _arrival(self, conversation: Conversation, arrived_ms: int) -> int:
        """When the socket came, on the clock that all processes share; asked once, for it stays the same."""
        asked = (conversation, arrived_ms)
        if self._arrived is None or self._arrived[0] != asked:
            ago_ms = now_ms() - arrived_ms
            told_ms = await self._backend.bus.clock.ms(conversation, ago_ms)
            self._arrived = (asked, self._backend.arrivals.in_order(conversation, arrived_ms, told_ms))
        return self._arrived[1]

    async def _ask(self, action: AskToStore) -> None:
        conversation = Conversation(self._terms.uid, action.conversation_id)
        try:
            answer = await self._backend.bus.ask(
                conversation,
                action.reason,
                owner=self._terms.owner,
                ends=action.ends,
                newest=action.newest,
            )
            if isinstance(answer, Asked):
                await self._backend.hints.ready(conversation, action.reason)
        except BusError as error:
            self._failed("ask", error)
            return
        if isinstance(answer, Asked) and answer.newest.epoch == action.newest.epoch:
            self._socket.feed(lambda: self._session.asked(now_ms()))
        elif isinstance(answer, Asked):
            # An `open` of this socket that was given up has been executed late, and has begun a session above its own.
            self._socket.feed(lambda: self._session.ask_refused(Replaced("", answer.newest), now_ms()))
        else:
            # A Redis that knows nothing of the conversation does not know its owner.
            refusal = answer or Replaced("", None)
            self._socket.feed(lambda: self._session.ask_refused(refusal, now_ms()))

    async def _look(self, action: LookStored) -> None:
        conversation = Conversation(self._terms.uid, action.conversation_id)
        try:
            answer = await self._backend.bus.stored(conversation, action.epoch)
        except BusError as error:
            self._failed("look", error)
        else:
            self._socket.feed(lambda: self._session.looked(answer, now_ms()))

    async def _look_merging(self, conversation: Conversation) -> None:
        # While Redis is away it is not known, and asked again later.
        with suppress(BusUnavailableError):
            target = await goes_into(self._backend.bus, conversation)
            self._socket.feed(lambda: self._session.looked_merging(conversation.cid, target, now_ms()))

    async def _look_up(self, action: LookUser) -> None:
        request = UserRequest(self._terms.uid, action.day, action.default_limit_ms, action.totals)
        try:
            user = await self._backend.writer.look_up_user(request)
        except BusError as error:
            if not isinstance(error, BusUnavailableError):
                log.exception("a user's settings or use cannot be read")
            self._socket.feed(lambda: self._session.unavailable("user", now_ms()))
        else:
            self._socket.feed(lambda: self._session.looked_up(user, now_ms()))

    def _refused(self, error: RefusedError) -> None:
        """Not another session for this user now."""
        self._backend.metrics.refused[error.reason].inc()
        again_ms = None if error.retry_after_s is None else 1_000 * error.retry_after_s
        session = self._session
        self._socket.feed(lambda: session.refused(error.code, error.close_code, error.message, again_ms))

    def _failed(self, what: str, error: BusError) -> None:
        """A command to Redis failed: translated into the session's events."""
        session = self._session
        match error:
            case BusUnavailableError():
                self._backend.metrics.redis_failures[_reason(error)].inc()
                if isinstance(error, BusFullError):
                    self._backend.high_water.refused()
                self._socket.feed(lambda: session.unavailable(what, now_ms()))
            case ConversationDeletedError():
                self._socket.feed(
                    lambda: session.refused(
                        "conversation_deleted", close_codes.DELETED, "the conversation is deleted"
                    )
                )
            case MergingError():
                self._socket.feed(
                    lambda: session.refused("merging", close_codes.REPLACED, messages.merging(error.target))
                )
            case StaleSocketError():
                self._socket.feed(session.stale)
            case FormatMismatchError():
                self._socket.feed(
                    lambda: session.refused(
                        "bad_parameter",
                        close_codes.BAD_PARAMETER,
                        "the session was recorded with another codec, rate or channels",
                    )
                )
            case _:
                self._socket.feed(lambda: _raise(error))

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
        self._socket.errand_done(None if task.cancelled() else task.exception())


def _reason(error: BusUnavailableError) -> str:
    """The label of `redis_failures_total`."""
    match error:
        case BusFullError():
            return "full"
        case BusRefusedError():
            return "refused"
        case _:
            return "away"


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
