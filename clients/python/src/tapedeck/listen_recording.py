"""The client's side of the `tapedeck.v1` dialect as a value: server messages in, messages to send out.

Owns what happens on resuming, on a fresh session, at a change of conversation and at the end. Must not do: I/O,
await, read a clock. Positions are the outbox's: payload bytes since the client began, across its sessions.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from tapedeck import listen_messages as wire
from tapedeck.audio_format import AudioFormat
from tapedeck.errors import ProtocolError
from tapedeck.listen_outbox import Keep, Outbox


class Phase(Enum):
    """What the client waits for."""

    CONNECTING = auto()
    """No socket, or one on which `ready` has not come: nothing may be sent."""
    OPEN = auto()
    SWITCHING = auto()
    """`conversation` is sent; its `ready` has not come: nothing may be sent."""
    CLOSING = auto()
    """`close` is sent; the server answers with close code 1000."""


@dataclass(slots=True)
class _Control:
    """A request that goes out when all audio before `position` has been sent."""

    position: int
    sent: bool = False


@dataclass(slots=True)
class FinalizeRequest(_Control):
    """A `finalize` and, once it is there, its answer. Sent again on a new socket as long as there is none."""

    answer: wire.Finalized | None = None


@dataclass(slots=True)
class SwitchRequest(_Control):
    """A change of conversation; `done` when its `ready` has come."""

    conversation_id: str = ""
    done: bool = False


@dataclass(slots=True)
class _CloseRequest(_Control):
    pass


@dataclass(slots=True)
class Message:
    """What goes onto the socket next: text messages, then audio (with its channel byte)."""

    texts: list[str] = field(default_factory=list)
    audio: bytes | None = None


class Recording:
    """One client's recording, over as many sockets and sessions as it takes."""

    def __init__(
        self, audio: AudioFormat, *, conversation_id: str | None, keep: Keep, limit_bytes: int
    ) -> None:
        self._audio = audio
        self.outbox = Outbox(audio, keep=keep, limit_bytes=limit_bytes)
        self.conversation_id = conversation_id
        """None until the server has made one."""
        self.session: str | None = None
        """None before the first `ready`, and where a fresh one is wanted."""
        self.phase = Phase.CONNECTING
        self.keepalive_s = 20.0
        """Something must be sent at least this often. Valid once `ready` came."""
        self.resumed = 0
        """How often a session went on after a lost socket."""
        self.begun_anew = 0
        """How often a session could not be resumed and a fresh one took its place."""
        self.lost_bytes = 0
        """Acked bytes that the server turned out not to have any more, and that were no longer kept here."""
        self._base = 0  # the position of the session's offset 0
        self._controls: deque[FinalizeRequest | SwitchRequest | _CloseRequest] = deque()

    # What the caller asks for

    def add(self, payload: bytes, channel: int, now_ms: float) -> None:
        """Take a payload to be sent."""
        self.outbox.add(payload, channel, now_ms)

    def finalize(self) -> FinalizeRequest:
        """Ask for everything up to now to be stored."""
        request = FinalizeRequest(self.outbox.end)
        self._controls.append(request)
        return request

    def switch(self, conversation_id: str) -> SwitchRequest:
        """What is added from now on belongs to another conversation."""
        request = SwitchRequest(self.outbox.end, conversation_id=conversation_id)
        self._controls.append(request)
        return request

    def close(self) -> None:
        """Nothing more will be added."""
        self._controls.append(_CloseRequest(self.outbox.end))

    # What the shell asks

    def query(self) -> dict[str, str]:
        """The query parameters for the next socket."""
        query = self._audio.query()
        if self.conversation_id is not None:
            query["conversation_id"] = self.conversation_id
            if self.session is not None:
                query["session"] = self.session
        return query

    @property
    def closing(self) -> bool:
        """Whether the caller has asked for the end."""
        return bool(self._controls) and isinstance(self._controls[-1], _CloseRequest)

    @property
    def all_acked(self) -> bool:
        """Whether all that can be acked is: an odd last byte of PCM never is."""
        return self.outbox.end - self.outbox.acked < self._audio.frame_bytes

    def next(self) -> Message | None:
        """What to send now; None where there is nothing, or where an answer must come first."""
        if self.phase is not Phase.OPEN:
            return None
        control = next((c for c in self._controls if not c.sent), None)
        if control is not None and self.outbox.cursor >= control.position:
            return self._send_control(control)
        outgoing = self.outbox.take(self.outbox.end + 1 if control is None else control.position)
        if outgoing is None:
            return None
        texts = [] if outgoing.mark_ms is None else [wire.mark(outgoing.mark_ms)]
        head = bytes([outgoing.channel]) if self._audio.channels > 1 else b""
        return Message(texts, head + outgoing.payload)

    def _send_control(self, control: FinalizeRequest | SwitchRequest | _CloseRequest) -> Message:
        control.sent = True
        if isinstance(control, FinalizeRequest):
            return Message([wire.finalize()])
        if isinstance(control, SwitchRequest):
            self.phase = Phase.SWITCHING
            return Message([wire.conversation(control.conversation_id)])
        self.phase = Phase.CLOSING
        return Message([wire.close()])

    # What the server says

    def on_ready(self, ready: wire.Ready) -> bool:
        """A session is open. False: this socket is of no use, connect again (`query` asks for a fresh session).

        Raises ProtocolError where no `ready` was due.
        """
        if self.phase is Phase.SWITCHING:
            self._switched(ready)
            return True
        if self.phase is not Phase.CONNECTING:
            raise ProtocolError("the server sent a second `ready` that nothing asked for")
        former, self.session = self.session, ready.session
        self.conversation_id = ready.conversation_id  # after a merge a resuming client is told the target
        self.keepalive_s = ready.keepalive_s
        if former == ready.session:
            if not self._resume(ready.resume_offset):
                self.session = None
                return False
            self.resumed += 1
        else:
            self._begin(ready, anew=former is not None)
        self.phase = Phase.OPEN
        return True

    def _resume(self, resume_offset: int) -> bool:
        position = self._base + resume_offset
        if position > self.outbox.end:
            raise ProtocolError(f"the server has {position - self.outbox.end} bytes that were never sent")
        if position < self.outbox.first_kept:
            # The server lost what it had acked, and it is no longer kept here: the rest goes on in a fresh session.
            self.lost_bytes += self.outbox.first_kept - position
            return False
        self.outbox.settle(acked=position, stored=0)
        self.outbox.rewind(position)
        return True

    def _begin(self, ready: wire.Ready, *, anew: bool) -> None:
        start = self.outbox.acked
        if ready.previous_offset is not None:
            start = self._base + ready.previous_offset
        if start < self.outbox.first_kept:
            self.lost_bytes += self.outbox.first_kept - start
            start = self._frame_start(self.outbox.first_kept)
        start = min(start, self.outbox.end)
        self.outbox.settle(acked=start, stored=0)
        self.outbox.rewind(start)
        self._base = start
        if anew or start > 0:
            self.begun_anew += 1
            self.outbox.mark_next()

    def _frame_start(self, position: int) -> int:
        """The next position at which a sample begins: a session's offsets count from there."""
        frame = self._audio.frame_bytes
        return position + (self._base - position) % frame

    def _switched(self, ready: wire.Ready) -> None:
        request = next(c for c in self._controls if isinstance(c, SwitchRequest))
        self._controls.remove(request)
        request.done = True
        # "What came before is finalized": the server answers only when it is safe.
        self.outbox.settle(acked=request.position, stored=0)
        self.session, self.conversation_id = ready.session, ready.conversation_id
        self._base = request.position
        self.phase = Phase.OPEN

    def on_ack(self, ack: wire.Ack) -> None:
        """Some of this session is safe; acks of a conversation that was left change nothing."""
        if ack.conversation_id == self.conversation_id and self.phase is not Phase.CONNECTING:
            self.outbox.settle(acked=self._base + ack.offset, stored=self._base + ack.stored)

    def on_finalized(self, finalized: wire.Finalized) -> None:
        """The answer to the oldest `finalize` that waits for one."""
        for control in self._controls:
            if isinstance(control, FinalizeRequest) and control.sent:
                control.answer = finalized
                self._controls.remove(control)
                stored = control.position if finalized.stored else 0
                self.outbox.settle(acked=self._base + finalized.offset, stored=stored)
                return

    def on_lost(self) -> None:
        """The socket is gone: what was asked and not answered is asked again on the next one."""
        self.phase = Phase.CONNECTING
        for control in self._controls:
            control.sent = False
