"""The listen session: a value that is fed events and `now`, and answers what to do. No await, no clock, no logger.

Owns the protocol page: states, messages, errors and close codes. What is taken is `recording`'s, what is on its way into Redis, and its acks,
`safekeeping`'s. Each event method returns the actions to be done, in order; their answers come back as events, one of each kind at a time.
"""

from collections.abc import Sequence

from audiobus import Appended, Misplaced, Opened, Replaced, Standing, UserState
from listen import close_codes, messages
from listen.account import Account
from listen.actions import Action, AskReason, Close, Encode, Open
from listen.comeback import REDIS_AWAY_S, SOON_S, retry_after_ms
from listen.early_messages import EarlyMessages
from listen.encoding_job import Encoded
from listen.errors import BadAudioError, WrongRateError
from listen.faults import Faults
from listen.intake import Intake
from listen.load import Load
from listen.patience import Patience
from listen.phase import Parting, Phase
from listen.recording import Recording
from listen.replies import Replies
from listen.safekeeping import Course, Safekeeping
from listen.terms import Terms
from servicekit.ids import valid_id


class Session:
    """One socket's session, or several one after another when it changes its conversation."""

    def __init__(self, terms: Terms) -> None:
        """A session that has not begun: call `start`."""
        self.phase = Phase.OPENING
        self._terms = terms
        self._cid = terms.conversation_id
        self._resume = terms.resume
        self._arrived_ms = terms.arrived_ms
        self._plain = terms.dialect == "plain"
        self._intake = Intake(terms.conversation_id, terms.audio_format, terms.dialect, terms.chunk_ms)
        self._safe: Safekeeping | None = None
        """None until the session is open."""
        self._parting = Parting()
        self._account = Account(terms)
        self._early = EarlyMessages()
        """Of a v1 client."""
        self._deaf = False
        """The client has nothing more to say: the socket ends."""
        self._patience = Patience()
        self.load = Load(terms, self._intake, self._patience)
        self._opening = False
        """An `Open` waits for its answer."""
        self._out = Replies()
        self._faults = Faults(self._out)

    @property
    def reading(self) -> bool:
        """Whether the socket shall be read."""
        return self.load.bearable or self.phase in (Phase.CLOSING, Phase.CLOSED)

    @property
    def calm(self) -> bool:
        """Whether time alone changes little (`Load.calm_until_ms`)."""
        return self.phase is Phase.OPEN and self.load.calm

    # -- events: the client ------------------------------------------------------------------------------------------

    def start(self, now_ms: int) -> list[Action]:
        """The socket is accepted."""
        return self._advance(now_ms)

    def binary(self, data: bytes, now_ms: int) -> list[Action]:
        """A binary message."""
        if self._deaf:
            return []
        if len(data) > messages.MAX_MESSAGE_BYTES + self._terms.audio_format.tag_bytes:
            return self._end(now_ms, self._faults.too_big())
        if self._plain and len(data) <= messages.KEEPALIVE_BYTES:
            return []
        recording = self._intake.target
        if recording is None:
            self._faults.early_audio()
            return self._out.take()
        try:
            recording.take(data, now_ms)
        except (BadAudioError, WrongRateError) as error:
            code = self._faults.bad_audio(error)
            return self._advance(now_ms) if code is None else self._end(now_ms, code)
        self._faults.bad_in_a_row = 0
        # Nothing is put off for long: a chunk is closed by its audio, its bytes or, at a tick, its time.
        return self._advance(now_ms) if recording.has_news(now_ms) else []

    def several(self, payloads: Sequence[bytes], since_ms: int, now_ms: int) -> list[Action]:
        """Binary messages, of which the first came at `since_ms`: as `binary` one after another, at a small part of the cost."""
        recording = self._intake.target
        if self._deaf or recording is None or not recording.take_all(payloads, since_ms, now_ms):
            return [action for data in payloads for action in self.binary(data, now_ms)]
        self._faults.bad_in_a_row = 0
        return self._advance(now_ms) if recording.has_news(now_ms) else []

    def text(self, text: str, now_ms: int) -> list[Action]:
        """A text message."""
        return self._hear(messages.parse_client_text(text), now_ms)

    def _hear(self, message: messages.ClientMessage, now_ms: int) -> list[Action]:  # noqa: C901 - one case for each message of the page
        if self._deaf:
            return []
        match message:
            case messages.Malformed(reason):
                self._out.reject("bad_json", reason)
            case messages.TooBig():
                return self._end(now_ms, self._faults.too_big())
            case messages.Mark(at_ms) if (recording := self._intake.target) is not None:
                wrong = "`at_ms` must be a whole number" if at_ms is None else recording.mark(at_ms, now_ms)
                if wrong:
                    self._out.reject("bad_mark", wrong)
            case messages.Nothing() | messages.AuthFirst():
                pass
            case _ if self.phase is not Phase.OPEN and not self._plain:
                self._deaf = isinstance(message, messages.CloseSession)
                if not self._early.put(message):
                    self._faults.early_text()
            case messages.SwitchConversation(cid):
                self._switch(cid, now_ms)
            case messages.Finalize():
                if not self._intake.finalize(now_ms):
                    self._faults.early_text()
            case messages.CloseSession():
                return self._end(now_ms, close_codes.DONE, asks="end")
        return self._advance(now_ms)

    def unreadable(self, code: int, reason: str, now_ms: int) -> list[Action]:
        """The client sent what is no WebSocket message, or one over the limit. What came before is made safe."""
        return self._end(now_ms, self._faults.unreadable(code, reason))

    def disconnected(self, now_ms: int) -> list[Action]:
        """The client has left. What it sent is still brought into Redis; nothing is asked for: it may come back."""
        self._out.gone = True
        return self._end(now_ms, close_codes.LEFT)

    # -- events: the shell -------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> list[Action]:
        """Time has passed; called every 100 ms or so."""
        if self.phase is Phase.CLOSED:
            return []
        self._intake.tick(now_ms)
        if self._patience.exhausted(now_ms):
            return self._try_later(messages.AWAY, REDIS_AWAY_S)
        return self._heed(now_ms)

    def going_away(self, reconnect_after_ms: int) -> list[Action]:
        """This server is about to shut down; `leave` follows."""
        self._out.later(messages.going_away(reconnect_after_ms))
        return self._out.take()

    def leave(self, now_ms: int) -> list[Action]:
        """This server shuts down: everything is made safe, and the socket closed with 1012."""
        return self._end(now_ms, close_codes.RESTART)

    def superseded(self, now_ms: int) -> list[Action]:
        """A newer socket of this process has come for the conversation, and waits until what came here is safe."""
        if not self._parting.ending:
            self._out.say(messages.error("replaced", messages.REPLACED))
        return self._end(now_ms, close_codes.REPLACED)

    def broke(self, incident: str) -> list[Action]:
        """A defect of ours: the socket cannot go on."""
        return self.refused("internal", close_codes.DEFECT, f"our fault; incident {incident}")

    def encoded(self, result: Encoded, now_ms: int) -> list[Action]:
        """The answer to `Encode`."""
        self._intake.encoded(result, now_ms)
        if result.spoiled:
            self._out.count("spoiled", result.spoiled)
        return self._advance(now_ms)

    def opened(self, answer: Opened, now_ms: int, cid: str | None = None) -> list[Action]:
        """The answer to `Open`. `cid`: where it is open, if that may be another conversation: the one into which it was merged."""
        self._opening, self._cid = False, cid or self._cid
        self._patience.worked()
        if self._safe is not None:
            self._account.reopened(answer)
            self._out.do(self._safe.watch(now_ms))  # that it is watched may be lost as well
            return self._go_on(self._safe, self._safe.reopened(answer), now_ms)
        self._safe = Safekeeping.begun(self._terms, self._cid, answer, self._patience, now_ms)
        self.load.safe = self._safe
        self._intake.opened(answer)
        self._faults.ready()
        self.phase = Phase.SWITCHING if self._intake.changing else Phase.OPEN
        outcome = "resumed" if answer.resumed else "fresh" if self._resume is None else "superseded"
        self._out.count("opened", 1, outcome)
        self._out.do(self._safe.watch(now_ms))
        chunk_ms, former = self._terms.chunk_ms, answer.previous_offset
        self._out.ready(messages.ready(self._cid, answer.epoch, answer.offset, chunk_ms, former))
        self._account.opened(self._cid, answer, now_ms)
        self._out.do(self._account.news(now_ms))
        if self._parting.ending:
            return self._end(now_ms, self._parting.ending.code, asks=self._parting.ending.asks)
        self._deaf = False
        for message in self._early.take():
            self._out.do(self._hear(message, now_ms))
        return self._advance(now_ms)

    def appended(self, answer: Appended, now_ms: int) -> list[Action]:
        """The answer to `Append`: the chunk is safe."""
        _, safe = self._opened_parts()
        self._account.appended(answer, now_ms)
        self._out.do(safe.appended(answer, now_ms))
        return self._advance(now_ms)

    def append_refused(self, answer: Replaced | Misplaced, now_ms: int) -> list[Action]:
        """The answer to `Append`: another socket owns the conversation, or Redis stands elsewhere."""
        _, safe = self._opened_parts()
        return self._go_on(safe, safe.refused("append", answer), now_ms)

    def ask_refused(self, answer: Replaced | Misplaced, now_ms: int) -> list[Action]:
        """The answer to `AskToStore`: as to `Append`. It is asked again when Redis has everything."""
        _, safe = self._opened_parts()
        return self._go_on(safe, safe.refused("ask", answer), now_ms)

    def stale(self) -> list[Action]:
        """The answer to `Open`: a socket that came later owns the conversation."""
        if self._safe is not None:
            return self.refused("replaced", close_codes.REPLACED, messages.REPLACED)
        # Whoever is alive comes again, and is the newest then; for a client that gave up there is nobody to tell.
        return self._try_later("another socket has come meanwhile", SOON_S)

    def refused(
        self, code: messages.ErrorCode, close_code: int, message: str, again_ms: int | None = None
    ) -> list[Action]:
        """The answer to any command: not this conversation, not like this, or not now. What is not acked is the client's."""
        self._opening = False
        if code != "merging" or not self._parting.ending or self._parting.ending.code != close_code:
            self._out.say(messages.error(code, message, again_ms))
        return self._close(close_code)

    def unavailable(self, what: str, now_ms: int) -> list[Action]:
        """The answer to `Open`, `Append`, `AskToStore`, `LookStored` or `LookUser` (open, append, ask, look, user): Redis is away."""
        if what == "user":
            self._out.do(self._account.unavailable(now_ms))
        elif what == "open":
            self._opening = False
            self._patience.failed(now_ms)
        elif self._safe is not None:
            self._safe.unavailable(what, now_ms)
            self._parting.asked = self._parting.asked and what != "ask"
        return self._advance(now_ms)

    def asked(self, now_ms: int) -> list[Action]:
        """The answer to `AskToStore`: it stands in Redis that everything shall be stored."""
        _, safe = self._opened_parts()
        safe.asked()
        self._parting.over = self._parting.asked
        return self._advance(now_ms)

    def looked(self, answer: Standing, now_ms: int) -> list[Action]:
        """The answer to `LookStored`."""
        if (safe := self._safe) is None:
            return self._advance(now_ms)
        course = safe.looked(answer, now_ms)
        self._out.do(safe.ack() if course == "on" else [])
        return self._go_on(safe, course, now_ms)

    def looked_merging(self, cid: str, target: str | None, now_ms: int) -> list[Action]:
        """The answer to `LookMerging`: what that conversation goes into. The socket ends at the next tick."""
        self._account.looked_merging(cid, target)
        return self._advance(now_ms)

    def looked_up(self, user: UserState, now_ms: int) -> list[Action]:
        """The answer to `LookUser`. Whether the socket must end is seen at the next tick, after what has come by then."""
        self._out.do(self._account.looked(user))
        self._out.do(self._account.news(now_ms))
        return self._advance(now_ms)

    def _advance(self, now_ms: int) -> list[Action]:
        """Does whatever can be done now."""
        if self.phase is Phase.CLOSED:
            return self._out.take()
        self._out.do(self._account.advance(now_ms))
        if (job := self._intake.job(now_ms)) is not None:
            self._out.do([Encode(job)])
        if self._safe is not None and self._intake.current is not None:
            self._safe.put(self._intake.current.chunks())
            for offset in self._intake.finals():
                self._safe.finalize(offset, now_ms)
            if not self._opening:
                self._out.do(self._safe.advance(now_ms))
            if self.phase in (Phase.SWITCHING, Phase.CLOSING):
                self._wind_up(now_ms)
        if self.phase is Phase.OPENING and self._patience.may_try(now_ms):
            self._open(self._resume, now_ms, own=False)
        self.load.judge(self._out)
        return self._out.take()

    def _heed(self, now_ms: int) -> list[Action]:
        """Goes on, or ends, as token and account say."""
        if self._parting.ending or (verdict := self._account.verdict(now_ms)) is None:
            return self._advance(now_ms)
        self._out.say(messages.error(verdict.code, verdict.message, verdict.retry_after_ms))
        return self._end(now_ms, verdict.close_code)

    def _open(self, resume: int | None, now_ms: int, *, own: bool) -> None:
        if not self._opening:
            self._opening = True
            self._patience.trying(now_ms)
            self._out.do([Open(self._cid, resume, own, self._arrived_ms)])

    def _wind_up(self, now_ms: int) -> None:
        """What came before is made safe, then the session asks for it to be stored, then it closes or switches."""
        recording, safe = self._opened_parts()
        if self._opening or not (recording.idle and safe.done):
            return
        asks = self._parting.asks(self.phase)
        if self._parting.over or (asks is None and safe.sure):
            self._part(safe)
        elif not self._patience.may_try(now_ms):
            return
        elif asks is None:
            self._out.do([safe.check(now_ms)])
        else:
            self._parting.asked = True
            self._out.do([safe.ask(asks, now_ms, ends=True)])

    def _part(self, safe: Safekeeping) -> None:
        """What came before is over. A `finalize` is answered first, unless a plain client's next audio, safe nowhere, waits."""
        if safe.unanswered and not (self._parting.hurry or self._intake.hurries):
            return
        self._out.do(safe.last_words())
        if self.phase is Phase.CLOSING and self._parting.ending:
            self._close_now(self._parting.ending.code)
        else:
            self._switched()

    def _switch(self, cid: str | None, now_ms: int) -> None:
        if cid is None or not valid_id(cid):
            self._out.reject("bad_parameter", messages.BAD_CONVERSATION_ID)
            return
        if not self._intake.named_again(cid):
            self._intake.change(cid, now_ms)
            self.phase = Phase.SWITCHING if self.phase is Phase.OPEN else self.phase
        elif self.phase is Phase.OPEN:
            epoch = self._opened_parts()[1].epoch
            self._out.ready(messages.ready(self._cid, epoch, 0, self._terms.chunk_ms, None))

    def _switched(self) -> None:
        """The next conversation begins."""
        self._out.do(self._opened_parts()[1].left())
        upcoming = self._intake.changed()
        self._cid, self._arrived_ms = upcoming.conversation_id, upcoming.arrived_ms
        self._safe = self.load.safe = self._resume = None
        self._parting.asked = self._parting.over = False
        self.phase = Phase.OPENING
        if self._parting.ending and self._parting.hurry and not self._intake.has_early_audio:
            self._close_now(self._parting.ending.code)

    def _end(self, now_ms: int, code: int, *, asks: AskReason | None = None) -> list[Action]:
        """Makes everything safe, and closes with `code`."""
        self._deaf = True
        self._parting.end(code, asks)
        if self.phase in (Phase.CLOSING, Phase.CLOSED):
            return self._advance(now_ms)
        if self.phase is Phase.OPENING and self._parting.hurry and not self._intake.has_early_audio:
            return self._close(code)
        if self.phase is Phase.OPEN:
            # A v1 client that comes back sends what its decoder warms up with, and half a sample, again; a plain one cannot.
            over = self._plain or asks is not None
            self._opened_parts()[0].flush(now_ms, "nothing" if over else "return")
            self.phase = Phase.CLOSING
        return self._advance(now_ms)

    def _go_on(self, safe: Safekeeping, course: Course, now_ms: int) -> list[Action]:
        """Goes on from where Redis stands, if that is known; else the client comes back."""
        if course != "on":
            self._parting.asked = self._parting.over = False
        if course == "open":
            self._open(safe.epoch, now_ms, own=True)
            return self._out.take()
        self._out.do(safe.losses(self._opened_parts()[0].about_samples))
        if course == "back":
            return self._try_later("the buffer has changed under this socket: resume", SOON_S)
        return self._advance(now_ms)

    def _try_later(self, message: str, span_s: tuple[int, int]) -> list[Action]:
        again_ms = retry_after_ms(span_s, self._terms.owner)
        return self.refused("unavailable", close_codes.TRY_LATER, message, again_ms)

    def _opened_parts(self) -> tuple[Recording, Safekeeping]:
        """What an open session consists of. Only events that come while it is open ask for it."""
        assert self._intake.current is not None and self._safe is not None  # noqa: S101, PT018 - the order of events
        return self._intake.current, self._safe

    def _close_now(self, code: int) -> None:
        self.phase, self._deaf = Phase.CLOSED, True
        left = self._safe.left() if self._safe is not None else []
        self._out.close([*left, *self._account.last_words(), Close(code)])

    def _close(self, code: int) -> list[Action]:
        self._close_now(code)
        return self._out.take()
