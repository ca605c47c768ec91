"""The listen session: a value that is fed events and `now`, and answers what to do. No await, no clock, no logger.

Owns the protocol page: states, messages, acks, errors and close codes. What is taken is `recording`'s, what is on its way
into Redis `outbox`'s. Each event method returns the actions to be done, in order (`listen.actions`); their answers come
back as events. At most one action of each kind that is answered is under way at a time.

    opening -> open -> switching -> opening …        open, switching -> closing -> closed
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from audiobus import Appended, AppendRequest, Conversation, EntryId, Misplaced, Opened, Replaced
from audiocodec.errors import BadPacketError
from listen import messages
from listen.actions import (
    Action,
    Append,
    AskReason,
    AskToStore,
    Close,
    Count,
    Due,
    Encode,
    LookStored,
    Open,
    Ready,
    SendText,
    Watch,
)
from listen.audio_format import AudioFormat
from listen.encoding_job import Encoded
from listen.outbox import Outbox
from listen.patience import Patience
from listen.pressure import Pressure
from listen.recording import Dialect, Recording
from listen.settlement import Settlement
from servicekit.ids import valid_id

MAX_MESSAGE_BYTES: Final = 64 * 1024
BAD_PACKETS_LIMIT: Final = 50
EARLY_TEXTS_LIMIT: Final = 16
KEEPALIVE_BYTES: Final = 2
"""In the plain dialect a binary message of at most this is no audio."""
DUE_MS: Final = 60_000
BATCH_SAMPLES: Final = 60 * 48_000


class Phase(Enum):
    """Where a session stands."""

    OPENING = auto()
    OPEN = auto()
    SWITCHING = auto()
    """To another conversation: what came before is being made safe."""
    CLOSING = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class _Ending:
    """How it ends, once everything is safe."""

    code: int
    asks: AskReason | None


class Session:
    """One socket's session, or several one after another when it changes its conversation."""

    def __init__(
        self,
        *,
        uid: str,
        owner: str,
        conversation_id: str,
        resume: int | None,
        dialect: Dialect,
        audio_format: AudioFormat,
        chunk_ms: int,
        expires_at_ms: int | None = None,
    ) -> None:
        """A session that has not begun: call `start`.

        Args:
            uid: who speaks.
            owner: a name that no other socket has.
            conversation_id: what to record into.
            resume: epoch of the session to go on with (v1).
            dialect: of the protocol.
            audio_format: what the client sends.
            chunk_ms: about how much audio a chunk holds.
            expires_at_ms: when the client's token ends.
        """
        self.phase = Phase.OPENING
        self._uid = uid
        self._owner = owner
        self._cid = conversation_id
        self._resume = resume
        self._dialect = dialect
        self._format = audio_format
        self._chunk_ms = chunk_ms
        self._expires_at_ms = expires_at_ms
        self._recording = self._new_recording() if dialect == "plain" else None
        self._outbox: Outbox | None = None
        self._settlement = Settlement(0)
        self._next: tuple[str, Recording | None] | None = None
        """The conversation that is being switched to, and what a plain client has sent for it."""
        self._ending: _Ending | None = None
        self._gone = False
        """The client has left: nothing can be sent."""
        self._early: deque[str] = deque()
        """Texts that came before the session was open."""
        self._told_not_ready = False
        self._bad_in_a_row = 0
        self._pressure = Pressure()
        self._patience = Patience()
        self._waiting_level = 0
        """How many batches' worth of audio waited when a hint was given last."""
        self._pending: set[str] = set()
        """Which kinds of action are under way: open, append, ask, look, encode."""
        self._out: list[Action] = []

    # -- what the shell may look at ----------------------------------------------------------------------------------

    @property
    def reading(self) -> bool:
        """Whether the socket shall be read."""
        return self._pressure.reading or self.phase in (Phase.CLOSING, Phase.CLOSED)

    @property
    def waiting_samples(self) -> int:
        """Audio taken and not yet safe, at 48 kHz."""
        waiting = sum(rec.samples + rec.waiting_samples for rec in self._recordings())
        return waiting - (self._outbox.appended_samples if self._outbox else 0)

    # -- events: the client ------------------------------------------------------------------------------------------

    def start(self, now_ms: int) -> list[Action]:
        """The socket is accepted."""
        return self._advance(now_ms)

    def binary(self, data: bytes, now_ms: int) -> list[Action]:
        """A binary message."""
        recording = self._intake()
        if self.phase in (Phase.CLOSING, Phase.CLOSED) or self._ending:
            return []
        if len(data) > MAX_MESSAGE_BYTES:
            self._reject("too_big", f"a message has at most {MAX_MESSAGE_BYTES} bytes")
            return self._end(now_ms, 1009)
        if self._dialect == "plain" and len(data) <= KEEPALIVE_BYTES:
            return []
        if recording is None:
            self._count("rejected", 1, "not_ready")
            if not self._told_not_ready:
                self._told_not_ready = True
                self._send(messages.error("not_ready", "audio before `ready` is left out: wait for it"))
            return self._drain()
        try:
            recording.take(data, now_ms)
        except BadPacketError:
            return self._bad_audio(now_ms)
        self._bad_in_a_row = 0
        return self._advance(now_ms)

    def text(self, text: str, now_ms: int) -> list[Action]:  # noqa: C901 - one case for each message of the page
        """A text message."""
        if self.phase in (Phase.CLOSING, Phase.CLOSED) or self._ending:
            return []
        if len(text) > MAX_MESSAGE_BYTES:
            self._reject("too_big", f"a message has at most {MAX_MESSAGE_BYTES} bytes")
            return self._end(now_ms, 1009)
        match messages.parse_client_text(text):
            case messages.Malformed(reason):
                self._reject("bad_json", reason)
            case messages.Mark(at_ms) if (recording := self._intake()) is not None:
                self._mark(recording, at_ms, now_ms)
            case messages.Nothing() | messages.AuthFirst():
                pass
            case _ if self.phase is not Phase.OPEN:
                if len(self._early) < EARLY_TEXTS_LIMIT:
                    self._early.append(text)
            case messages.SwitchConversation(cid):
                self._switch(cid, now_ms)
            case messages.Finalize():
                assert self._recording is not None  # noqa: S101 - it is open
                self._settlement.finalize(self._recording.flush(now_ms, ends=False), now_ms)
            case messages.CloseSession():
                return self._end(now_ms, 1000, asks="end")
        return self._advance(now_ms)

    def disconnected(self, now_ms: int) -> list[Action]:
        """The client has left. What it sent is still brought into Redis; nothing is asked for: it may come back."""
        self._gone = True
        return self._end(now_ms, 1006)

    # -- events: the shell -------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> list[Action]:
        """Time has passed; called every 100 ms or so."""
        if self.phase is Phase.CLOSED:
            return []
        for recording in self._recordings():
            recording.tick(now_ms)
        if self._expires_at_ms is not None and now_ms >= self._expires_at_ms and not self._ending:
            self._send(messages.error("token_expired", "the token has expired: reconnect with a new one"))
            return self._end(now_ms, 4401)
        if self._patience.exhausted(now_ms):
            self._send(
                messages.error("unavailable", "the buffer is away: try again later", retry_after_ms=5_000)
            )
            return self._close(1013)
        return self._advance(now_ms)

    def going_away(self, reconnect_after_ms: int) -> list[Action]:
        """This server is about to shut down; `leave` follows."""
        self._send(messages.going_away(reconnect_after_ms))
        return self._drain()

    def leave(self, now_ms: int) -> list[Action]:
        """This server shuts down: everything is made safe, and the socket closed with 1012."""
        return self._end(now_ms, 1012)

    def broke(self, incident: str) -> list[Action]:
        """A defect of ours: the socket cannot go on."""
        self._send(messages.error("internal", f"our fault; incident {incident}"))
        return self._close(1011)

    def encoded(self, result: Encoded, now_ms: int) -> list[Action]:
        """The answer to `Encode`."""
        self._pending.discard("encode")
        encoding = next(rec for rec in self._recordings() if rec.encoding)
        encoding.encoded(result, now_ms)
        return self._advance(now_ms)

    def opened(self, answer: Opened, now_ms: int) -> list[Action]:
        """The answer to `Open`."""
        self._pending.discard("open")
        self._patience.worked()
        if self._outbox is not None:
            return self._reopened(answer, now_ms)
        self._outbox = Outbox(EntryId(answer.epoch, answer.offset))
        if self._recording is None:
            self._recording = self._new_recording(answer)
        # What is stored of a resumed session is read at once; a fresh one has nothing yet.
        self._settlement = Settlement(0 if answer.resumed else now_ms)
        self._told_not_ready = False
        self._waiting_level = 0
        self.phase = Phase.OPEN
        outcome = "resumed" if answer.resumed else "fresh" if self._resume is None else "superseded"
        self._count("opened", 1, outcome)
        self._out.append(Watch(self._cid, now_ms + DUE_MS))
        self._send(
            messages.ready(self._cid, answer.epoch, answer.offset, self._chunk_ms, answer.previous_offset)
        )
        if self._ending:
            return self._end(now_ms, self._ending.code, asks=self._ending.asks)
        early, self._early = self._early, deque()
        for text in early:
            # Appended in order; what one of them sets off does not overtake what is already in `_out`.
            done, self._out = self._out, []
            self._out = done + self.text(text, now_ms)
        return self._advance(now_ms)

    def appended(self, answer: Appended, now_ms: int) -> list[Action]:
        """The answer to `Append`: the chunk is safe, and only now the client hears so."""
        self._pending.discard("append")
        self._patience.worked()
        assert self._outbox is not None  # noqa: S101 - an append was under way
        ready = self._outbox.appended(answer)
        self._count("appended_samples", ready.chunk.samples)
        self._settlement.told(now_ms)
        self._ack()
        if answer.entries <= 2:
            self._out.append(Due(self._cid, now_ms + DUE_MS))
        level = answer.waiting_samples // BATCH_SAMPLES
        if level > self._waiting_level:
            self._out.append(Ready(self._cid, "audio"))
        self._waiting_level = level
        return self._advance(now_ms)

    def append_refused(self, answer: Replaced | Misplaced, now_ms: int) -> list[Action]:
        """The answer to `Append` or `AskToStore`: another socket owns the conversation, or Redis stands elsewhere."""
        self._pending -= {"append", "ask"}
        self._patience.worked()
        assert self._outbox is not None  # noqa: S101 - an append was under way
        if isinstance(answer, Replaced):
            if answer.owner:
                self._send(messages.error("replaced", "a newer session has taken this conversation over"))
                return self._close(4409)
            self._request("open", Open(self._cid, self._outbox.newest.epoch, own=True), now_ms)
            return self._drain()
        if not self._outbox.misplaced(answer.newest):
            return self._doubt()
        self._count_lost()
        return self._advance(now_ms)

    def refused(self, code: messages.ErrorCode, close_code: int, message: str) -> list[Action]:
        """The answer to any command: the conversation is deleted."""
        self._pending -= {"append", "ask", "open"}
        self._send(messages.error(code, message))
        return self._close(close_code)

    def unavailable(self, what: str, now_ms: int) -> list[Action]:
        """The answer to `Open`, `Append`, `AskToStore` or `LookStored` (open, append, ask, look): Redis is away."""
        self._pending.discard(what)
        if what == "look":
            self._settlement.looked(now_ms)
        else:
            self._patience.failed(now_ms)
        return self._advance(now_ms)

    def asked(self, now_ms: int) -> list[Action]:
        """The answer to `AskToStore`: it stands in Redis that everything shall be stored."""
        self._pending.discard("ask")
        self._patience.worked()
        if self.phase is Phase.CLOSING and self._ending:
            self._ack()
            return self._close(self._ending.code)
        if self.phase is Phase.SWITCHING:
            return self._switched(now_ms)
        return self._advance(now_ms)

    def looked(self, settled: EntryId | None, dead_offset: int | None, now_ms: int) -> list[Action]:
        """The answer to `LookStored`."""
        self._pending.discard("look")
        self._settlement.looked(now_ms)
        if self._outbox is not None:
            self._outbox.settled(settled, dead_offset)
            self._ack()
        return self._advance(now_ms)

    # -- what follows ------------------------------------------------------------------------------------------------

    def _advance(self, now_ms: int) -> list[Action]:
        """Does whatever can be done now."""
        if self.phase is Phase.CLOSED:
            return self._drain()
        if self.phase is Phase.OPENING and "open" not in self._pending and self._patience.may_try(now_ms):
            self._request("open", Open(self._cid, self._resume, own=False), now_ms)
        if "encode" not in self._pending:
            for recording in self._recordings():
                job = recording.job(now_ms)
                if job is not None:
                    self._request("encode", Encode(job))
                    break
        if self._outbox is not None and self._recording is not None:
            self._outbox.put(self._recording.chunks())
            self._append(now_ms)
            self._settle(now_ms)
            if self.phase in (Phase.SWITCHING, Phase.CLOSING):
                self._wind_up(now_ms)
        trouble = self._judge()
        if trouble is not None:
            self._send(messages.status("buffering" if trouble else "ok"))
            self._count("backpressure", 1, "paused" if trouble else "resumed")
        return self._drain()

    def _append(self, now_ms: int) -> None:
        assert self._outbox is not None  # noqa: S101 - its caller looked
        ready = self._outbox.next
        if ready is None or self._pending & {"append", "open"} or not self._patience.may_try(now_ms):
            return
        newest = self._outbox.newest
        request = AppendRequest(
            conversation=self._conversation,
            owner=self._owner,
            before=newest,
            id=EntryId(newest.epoch, ready.end_offset),
            chunk=ready.chunk.encode(),
            samples=ready.chunk.samples,
            position=ready.position,
            now_ms=now_ms,
        )
        self._request("append", Append(request, ready.chunk.at_ms), now_ms)

    def _settle(self, now_ms: int) -> None:
        """Answers `finalize`, and keeps `stored` fresh."""
        assert self._outbox is not None  # noqa: S101 - its caller looked
        acked, stored = self._outbox.acked, self._outbox.stored
        for offset, done in self._settlement.answers(stored, now_ms):
            self._send(messages.finalized(offset, stored=done))
        if self.phase is not Phase.OPEN:
            return
        if (
            "ask" not in self._pending
            and self._patience.may_try(now_ms)
            and self._settlement.ask(acked, now_ms)
        ):
            self._request("ask", AskToStore(self._cid, "finalize", ends=False), now_ms)
        if "look" not in self._pending and self._settlement.look(acked, stored, now_ms):
            self._request("look", LookStored(self._cid, self._outbox.newest.epoch))

    def _wind_up(self, now_ms: int) -> None:
        """What came before is made safe, then the session asks for it to be stored, then it closes or switches."""
        assert self._outbox is not None and self._recording is not None  # noqa: S101, PT018 - its caller looked
        if not (self._recording.idle and self._outbox.empty) or self._pending & {"ask", "open", "append"}:
            return
        asks: AskReason | None = "switch"
        if self.phase is Phase.CLOSING and self._ending:
            asks = self._ending.asks
            if asks is None:
                if not self._gone:
                    self._ack()
                self._close_now(self._ending.code)
                return
        if asks is not None and self._patience.may_try(now_ms):
            self._request("ask", AskToStore(self._cid, asks, ends=True), now_ms)

    def _mark(self, recording: Recording, at_ms: int | None, now_ms: int) -> None:
        wrong = "`at_ms` must be a whole number" if at_ms is None else recording.mark(at_ms, now_ms)
        if wrong:
            self._reject("bad_mark", wrong)

    def _switch(self, cid: str | None, now_ms: int) -> None:
        if cid is None or not valid_id(cid):
            self._reject(
                "bad_parameter", "`conversation_id` must be an id: [A-Za-z0-9][A-Za-z0-9._@-]{0,127}"
            )
            return
        assert self._recording is not None  # noqa: S101 - it is open
        self._recording.flush(now_ms, ends=True)
        self._next = (cid, self._new_recording() if self._dialect == "plain" else None)
        self.phase = Phase.SWITCHING

    def _switched(self, now_ms: int) -> list[Action]:
        """What came before is safe, and over: the next conversation begins."""
        assert self._next is not None  # noqa: S101 - it switches
        self._cid, self._recording = self._next
        self._next = self._outbox = self._resume = None
        self.phase = Phase.OPENING
        if self._ending and (self._recording is None or not self._recording.taken):
            return self._close(self._ending.code)
        return self._advance(now_ms)

    def _end(self, now_ms: int, code: int, *, asks: AskReason | None = None) -> list[Action]:
        """Makes everything safe, and closes with `code`."""
        if self.phase is Phase.CLOSED:
            return self._drain()
        if self.phase is Phase.CLOSING:
            return self._advance(now_ms)
        self._ending = self._ending or _Ending(code, asks)
        if self.phase is Phase.OPENING and (self._recording is None or not self._recording.taken):
            return self._close(code)
        if self.phase is Phase.OPEN and self._recording is not None:
            # A v1 client that comes back sends half a sample again; a plain one cannot.
            ends = self._dialect == "plain" or asks is not None
            self._recording.flush(now_ms, ends=ends)
            self.phase = Phase.CLOSING
        return self._advance(now_ms)

    def _reopened(self, answer: Opened, now_ms: int) -> list[Action]:
        """Redis knows the socket as owner again. Goes on where nothing is in doubt."""
        assert self._outbox is not None  # noqa: S101 - its caller looked
        if answer.resumed and answer.offset == self._outbox.newest.offset:
            return self._advance(now_ms)
        if answer.resumed and self._outbox.misplaced(EntryId(answer.epoch, answer.offset)):
            self._count_lost()
            return self._advance(now_ms)
        return self._doubt()

    def _count_lost(self) -> None:
        """Counts what Redis had confirmed and lost, by the session's average of samples a byte."""
        assert self._outbox is not None and self._recording is not None  # noqa: S101, PT018 - its caller looked
        lost, self._outbox.lost_bytes = self._outbox.lost_bytes, 0
        if lost:
            here = max(1, self._recording.taken - self._recording.first_offset)
            self._count("lost_samples", lost * self._recording.samples // here)

    def _doubt(self) -> list[Action]:
        """What Redis holds is not what this socket wrote: the client comes back, and both start from what is true."""
        self._send(messages.error("unavailable", "the buffer has changed under this socket: resume"))
        return self._close(1012)

    def _bad_audio(self, now_ms: int) -> list[Action]:
        self._reject("bad_audio", f"no packet of {self._format.codec}: left out")
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= BAD_PACKETS_LIMIT:
            return self._end(now_ms, 1007)
        return self._advance(now_ms)

    # -- small things ------------------------------------------------------------------------------------------------

    @property
    def _conversation(self) -> Conversation:
        return Conversation(self._uid, self._cid)

    def _recordings(self) -> list[Recording]:
        """What takes, or has taken, audio that is not safe yet, in order."""
        found = [self._recording] if self._recording is not None else []
        if self._next is not None and self._next[1] is not None:
            found.append(self._next[1])
        return found

    def _intake(self) -> Recording | None:
        """What takes audio now; None while the client must wait for `ready`."""
        if self._next is not None:
            return self._next[1]
        return self._recording

    def _new_recording(self, opened: Opened | None = None) -> Recording:
        return Recording(
            self._format,
            dialect=self._dialect,
            chunk_ms=self._chunk_ms,
            offset=opened.offset if opened else 0,
            position=opened.position if opened else None,
        )

    def _judge(self) -> bool | None:
        taken = sum(rec.taken + rec.held_bytes for rec in self._recordings())
        safe = self._outbox.acked if self._outbox else 0
        return self._pressure.judge(self.waiting_samples, taken - safe, failing=self._patience.pause_ms > 0)

    def _request(self, kind: str, action: Action, now_ms: int | None = None) -> None:
        self._pending.add(kind)
        if now_ms is not None:
            self._patience.trying(now_ms)
        self._out.append(action)

    def _reject(self, code: messages.ErrorCode, reason: str) -> None:
        self._count("rejected", 1, code)
        self._send(messages.error(code, reason))

    def _ack(self) -> None:
        assert self._outbox is not None  # noqa: S101 - only what is open acks
        self._send(messages.ack(self._cid, self._outbox.acked, self._outbox.stored))

    def _send(self, text: str) -> None:
        if not self._gone:
            self._out.append(SendText(text))

    def _count(self, what: str, amount: int, label: str = "") -> None:
        self._out.append(Count(what, amount, label))

    def _close_now(self, code: int) -> None:
        self.phase = Phase.CLOSED
        self._out.append(Close(code))

    def _close(self, code: int) -> list[Action]:
        self._close_now(code)
        return self._drain()

    def _drain(self) -> list[Action]:
        out, self._out = self._out, []
        return out
