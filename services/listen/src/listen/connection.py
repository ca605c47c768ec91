"""One socket: gives what comes to the session, and does what it answers, or has it done (`errands`). No rule of the protocol.

What the client sends comes as calls of the wire, so an open socket costs no task. Owns the end: of session, client and errands.
"""

import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from listen import close_codes, messages
from listen.actions import Action, Close, Count, Left, Lost, SendText, WriteUsage
from listen.backend import Backend, now_ms
from listen.counts import count
from listen.encoding import SocketEncoder
from listen.errands import Errands
from listen.session import Session
from listen.terms import Terms

if TYPE_CHECKING:
    from listen.budget import Share

log = logging.getLogger(__name__)

SEVERAL: Final = 25
"""Messages that are taken at once: half of most devices' chunk. None waits longer than from one tick to the next."""
SMALL_BYTES: Final = 2 * 1024
"""Only messages up to this size are."""
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


class Connection:
    """One accepted socket and its session."""

    def __init__(self, terms: Terms, encoder: SocketEncoder, backend: Backend, *, request_id: str) -> None:
        self._terms = terms
        self._session = Session(terms)
        self._backend = backend
        self._request_id = request_id
        """Of its handshake, for the logs."""
        self._wire: Wire = _NO_WIRE
        self._ended: Callable[[], None] = _nobody
        self._errands = Errands(terms, self._session, encoder, backend, self)
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
        self._rests_until_ms = 0
        """A calm session need not be told the time before,"""
        self._rested_ms = 0
        """and from then on, should the clock be set back."""
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
        if not self._rested_ms <= at_ms < self._rests_until_ms or not self._session.calm:
            self.tick(at_ms)
            self._rested_ms = at_ms
            self._rests_until_ms = self._session.load.calm_until_ms(at_ms)

    def tick(self, at_ms: int) -> None:
        """Time has passed, and is looked at."""
        if self._received:
            self._backend.metrics.received[self._terms.audio_format.codec].inc(self._received)
            self._received = 0
        self._take_several()
        self.feed(lambda: self._ticked(at_ms))

    def _ticked(self, at_ms: int) -> list[Action]:
        self._weigh()
        return self._session.tick(at_ms)

    def going_away(self, reconnect_after_ms: int) -> None:
        """Tells the client that `leave` is near."""
        self.feed(lambda: self._session.going_away(reconnect_after_ms))

    def leave(self) -> None:
        """Makes everything safe and closes with 1012."""
        self._take_several()
        self.feed(lambda: self._session.leave(now_ms()))

    def give_up(self) -> None:
        """Closes with 1012, though not everything is safe: there is no more time."""
        if not self._closed:
            self._backend.metrics.audio_left.inc(self.waiting_samples / 48_000)
        self.feed(lambda: self._session.refused("unavailable", close_codes.RESTART, messages.NOT_SAFE))

    def supersede(self) -> None:
        """A newer socket has come for the conversation: what came here is made safe first."""
        self._take_several()
        self.feed(lambda: self._session.superseded(now_ms()))

    def replaced(self) -> None:
        """A newer socket has opened the conversation: Redis takes nothing more of this one."""
        self.feed(self._session.stale)

    def abort(self) -> None:
        """The client has had its time to take the close, and to answer it."""
        self._closed = True
        self._backend.handover.leave(self)
        self._wire.abort()

    @property
    def uid(self) -> str:
        """Who speaks."""
        return self._terms.uid

    @property
    def over(self) -> bool:
        """Whether the session is over: all that is left is the client's answer to the close."""
        return self._closed

    @property
    def waiting_samples(self) -> int:
        """Audio that is not safe yet, at 48 kHz."""
        return self._session.load.waiting_samples

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
        self._takes_several = session.load.takes_several
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
        if code == close_codes.DEFECT:
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
            self._share.weigh(self._session.load.held_bytes + unsent_bytes)
        self._session.load.allow(budget.allowance_bytes, budget.tail_bytes)
        if unsent_bytes > budget.unsent_bytes:
            log.info("a client does not read what it is sent, and memory is short: it is cut off")
            self._wire.abort()

    def _broke(self, error: BaseException) -> None:
        if self._closed:
            return
        incident = secrets.token_hex(4)
        log.error(
            "a socket broke", exc_info=error, extra={"incident": incident, "request_id": self._request_id}
        )
        for action in self._session.broke(incident):
            self._perform(action)

    # -- what the session asks for -----------------------------------------------------------------------------------

    def _perform(self, action: Action) -> None:
        metrics = self._backend.metrics
        match action:
            case SendText(text):
                self._wire.send(text)
            case WriteUsage(totals):
                self._backend.late_usage.put(self._terms.uid, totals)
            case Left() | Lost():
                self._backend.former.note(self._terms.uid, action, now_ms())
            case Close(code):
                metrics.closes[str(code)].inc()
                codec, request_id = self._terms.audio_format.codec, self._request_id
                log.info("a socket ended", extra={"code": code, "codec": codec, "request_id": request_id})
                self._closed = True
                self._backend.handover.leave(self)
                self._wire.close(code)
                self._end_if_over()
            case Count():
                count(metrics, action)
            case _:
                self._errands.run(action)

    def errand_done(self, error: BaseException | None) -> None:
        """An errand has ended, or broke."""
        if error is not None:
            self._broke(error)
        self._end_if_over()

    def _end_if_over(self) -> None:
        """Ends with the last of session, client and tasks. A hint that is under way then costs a delay, never audio."""
        if not (self._closed and self._left) or self._ended is _nobody:
            return
        if self._errands.cancelled():
            ended, self._ended = self._ended, _nobody
            self._wire = _NO_WIRE
            del self._errands  # they know this socket: a circle would wait for the collector
            if self._share is not None:
                self._share.leave()
                self._share = None
            ended()


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
