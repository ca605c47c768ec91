"""What a recording client keeps: payloads that may have to be sent (again), and the marks that go with them.

Positions count the payload bytes that the client has ever been given, across sessions; the recording knows where
each session's offset 0 lies. Owns the bound on memory. Must not do: I/O, or know messages other than audio and marks.
"""

from collections import deque
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from tapedeck.audio_format import AudioFormat

MAX_MESSAGE_BYTES = 32 * 1024
"""The largest audio message the client builds of PCM; the protocol takes 64 KiB."""

Keep = Literal["acked", "stored"]
"""What a client waits for before it drops its copy: safe in Redis, or in the bucket."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One audio message as it is to be sent, and what must be known about it to send it again."""

    position: int
    """Of its first payload byte."""
    payload: bytes
    channel: int
    """0 for mono, else the channel byte that goes before the payload."""
    mark_ms: int | None
    """The mark that must go before its first byte."""
    captured_ms: float
    """When its first byte was captured, by the client's clock and the audio's own length: for a mark that becomes necessary."""

    @property
    def end(self) -> int:
        """The position after its last byte."""
        return self.position + len(self.payload)


class Outbox:
    """Payloads in order: some sent and not yet released, some still to be sent."""

    def __init__(self, audio: AudioFormat, *, keep: Keep, limit_bytes: int) -> None:
        self._audio = audio
        self._keep = keep
        self._limit_bytes = limit_bytes
        self._sent: deque[Outgoing] = deque()
        self._unsent: deque[Outgoing] = deque()
        self._mark_ms: int | None = None
        self._origin_ms: float | None = None  # the last mark, or when the very first byte was captured
        self._clock_ms: dict[int, float] = {}  # channel: when its next byte is captured, since the origin
        self._halves: dict[
            int, bytes
        ] = {}  # channel, where there are two: the first byte of a sample to come
        self._kept_bytes = 0
        self._mark_wanted = False
        self.end = 0
        """The position after the last byte that was added."""
        self.acked = 0
        """Everything before this position is safe in Redis."""
        self.stored = 0
        """Everything before this position is settled: in the bucket, dead-lettered or deleted."""

    @property
    def cursor(self) -> int:
        """The position of the next byte to send."""
        return self._unsent[0].position if self._unsent else self.end

    @property
    def first_kept(self) -> int:
        """The position of the oldest byte that could still be sent again."""
        return self._sent[0].position if self._sent else self.cursor

    @property
    def room(self) -> bool:
        """Whether another payload may be added: so at most one payload goes above the limit."""
        return self._kept_bytes < self._limit_bytes

    def mark(self, at_ms: int) -> None:
        """The next byte was captured at this unix time. Of two marks without audio between them the later call holds."""
        self._mark_ms = at_ms
        self._origin_ms = float(at_ms)
        self._clock_ms.clear()
        self._halves.clear()  # a hole follows: their other halves never come

    def add(self, payload: bytes, channel: int, now_ms: float) -> None:
        """Take a payload. `now_ms` starts the client's clock where no mark did."""
        if self._audio.channels > 1:
            payload = self._whole(payload, channel)
        step = MAX_MESSAGE_BYTES if self._audio.divisible else max(1, len(payload))
        for start in range(0, len(payload), step):
            self._add_one(payload[start : start + step], channel, now_ms)

    def _whole(self, payload: bytes, channel: int) -> bytes:
        """Whole samples; half a one is kept until the channel's next payload.

        So with two channels any even position lies between samples of both, and a fresh session can begin there.
        """
        payload = self._halves.pop(channel, b"") + payload
        odd = len(payload) % self._audio.frame_bytes
        if odd:
            self._halves[channel] = payload[-odd:]
        return payload[: len(payload) - odd]

    def _add_one(self, payload: bytes, channel: int, now_ms: float) -> None:
        duration_ms = self._audio.duration_ms(payload)
        if self._origin_ms is None:
            self._origin_ms = now_ms - duration_ms
        captured_ms = self._clock_ms.get(channel, self._origin_ms)
        if self._mark_wanted and self._mark_ms is None:
            self._mark_ms = ceil(captured_ms)
        self._mark_wanted = False
        self._unsent.append(Outgoing(self.end, payload, channel, self._mark_ms, captured_ms))
        self._clock_ms[channel] = captured_ms + duration_ms
        self._mark_ms = None
        self.end += len(payload)
        self._kept_bytes += len(payload)

    def take(self, before: int) -> Outgoing | None:
        """The next message to send, of those that begin before the position; it counts as sent."""
        if not self._unsent or self._unsent[0].position >= before:
            return None
        message = self._unsent.popleft()
        self._sent.append(message)
        return message

    def settle(self, *, acked: int, stored: int) -> None:
        """Note what the server has; positions never move back. What nobody needs any more is dropped."""
        self.acked = max(self.acked, min(acked, self.end))
        self.stored = max(self.stored, min(stored, self.acked))
        release = self.acked if self._keep == "acked" else self.stored
        while self._sent and self._sent[0].end <= release:
            self._kept_bytes -= len(self._sent.popleft().payload)
        while self._unsent and self._unsent[0].end <= release:
            self._kept_bytes -= len(self._unsent.popleft().payload)

    def rewind(self, position: int) -> None:
        """Send again from this position on, which must not lie before `first_kept`.

        A PCM message that is only partly needed is cut; its mark, if it had one, belonged to bytes that need not be sent again.
        """
        while self._sent and self._sent[-1].end > position:
            message = self._sent.pop()
            cut = position - message.position
            if cut > 0 and self._audio.divisible:
                head, tail = self._cut(message, cut)
                self._sent.append(head)
                self._unsent.appendleft(tail)
                return
            self._unsent.appendleft(message)
        while self._unsent and self._unsent[0].position < position:
            self._skip_to(position)

    def _skip_to(self, position: int) -> None:
        message = self._unsent.popleft()
        if message.end > position and self._audio.divisible:
            head, tail = self._cut(message, position - message.position)
            self._sent.append(head)
            self._unsent.appendleft(tail)
        else:
            self._sent.append(message)

    def _cut(self, message: Outgoing, at: int) -> tuple[Outgoing, Outgoing]:
        head = replace(message, payload=message.payload[:at])
        tail = Outgoing(
            message.position + at,
            message.payload[at:],
            message.channel,
            None,
            message.captured_ms + self._audio.duration_ms(message.payload[:at]),
        )
        return head, tail

    def mark_next(self) -> None:
        """Give the next message a mark of when it was captured, where it has none.

        A session that takes another's place begins with it. Rounded up: a gap of less than a millisecond is no harm,
        an overlap with what the former session holds would cost samples.
        """
        if not self._unsent:
            self._mark_wanted = True
        elif self._unsent[0].mark_ms is None:
            self._unsent[0] = replace(self._unsent[0], mark_ms=ceil(self._unsent[0].captured_ms))
