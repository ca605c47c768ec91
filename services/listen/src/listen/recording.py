"""One session's intake: payload bytes in, closed chunks out, with the sample clock between them.

Owns offsets, the clock, marks, runs and the lateness rule of the plain dialect. Raises BadAudioError for what is no
message of the codec, after having counted it. Must not know Redis, texts or sockets.
"""

from collections.abc import Sequence
from typing import Final, Literal

from audiobus import Position
from listen.audio_format import AudioFormat
from listen.chunker import Chunker, ReadyChunk
from listen.encoding_job import Encoded, EncodeJob
from listen.errors import BadAudioError
from listen.lane import Lane, Then
from listen.packet_lane import PacketLane
from listen.sample_clock import BURST_MS, LATE_MS, Lateness, SampleClock, mark_is_sane
from listen.transcode_lane import TranscodeLane

Dialect = Literal["v1", "plain"]

HELD_MESSAGE_BYTES: Final = 64
"""What a message takes beside its payload."""


class Recording:
    """What a session takes."""

    def __init__(
        self,
        audio_format: AudioFormat,
        *,
        dialect: Dialect,
        chunk_ms: int,
        offset: int = 0,
        position: Position | None = None,
    ) -> None:
        """Intake of a fresh session, or of one that goes on at byte `offset`, after `position` on its timeline."""
        self._plain = dialect == "plain"
        self._source_rate = audio_format.source_rate
        self._tag_bytes = audio_format.tag_bytes
        self._chunker = Chunker(audio_format, chunk_ms, offset, position)
        self._several: PacketLane | None = None
        """The lane, where it may take several messages at once. In the plain dialect each arrival counts."""
        if audio_format.is_kept:
            kept = PacketLane(audio_format, self._chunker, position)
            self._lane: Lane = kept
            self._several = None if self._plain else kept
        else:
            self._lane = TranscodeLane(audio_format, self._chunker, chunk_ms, position)
        self._clock = SampleClock(position.run_start_ms, self._lane.reach) if position else None
        self._mark_ms: int | None = None
        """Captured time of the first byte, where a mark came before it."""
        self._held: list[bytes] = []
        """Late plain messages, until it is known whether a new run began with them."""
        self._held_by_channel: dict[bytes, int] = {}
        """Samples in them, at 48 kHz."""
        self.held_bytes = 0
        self._lateness: Lateness | None = None
        self._heard_ms = 0
        """When audio came last."""
        self.first_offset = offset
        """Where this socket's part of the session begins."""
        self.taken = offset
        """Payload bytes of the session so far."""
        self.samples = self._lane.reach - position.next_sample if position else 0
        """Clock time taken here, at 48 kHz, that was not stored before; what a resuming client sends again counts up to 0."""

    @property
    def overhead_bytes(self) -> int:
        """About how much memory it takes beside the payload that waits."""
        return self._lane.overhead_bytes + HELD_MESSAGE_BYTES * len(self._held)

    @property
    def held_samples(self) -> int:
        """Clock time that is held back, at 48 kHz."""
        return max(self._held_by_channel.values(), default=0)

    @property
    def idle(self) -> bool:
        """Whether everything taken is in closed chunks."""
        return not self._held and self._lane.idle

    def about_samples(self, lost_bytes: int) -> int:
        """How much audio bytes were that are gone, by the average of what was taken here."""
        return max(0, lost_bytes * self.samples // max(1, self.taken - self.first_offset))

    def take(self, data: bytes, now_ms: int) -> None:
        """One message of payload.

        Raises:
            BadAudioError: no message of the codec. It is counted and left out.
            WrongRateError: AAC of another rate than the client said.
        """
        self._heard_ms = now_ms
        try:
            samples = self._lane.measure(data)
        except BadAudioError:
            self._release()
            self.taken += max(0, len(data) - self._tag_bytes)
            self._lane.leave_out(self.taken, now_ms)
            raise
        if len(data) == self._tag_bytes:
            return  # PCM without a byte
        if self._plain and self._clock and self._hold(data, samples, now_ms):
            return
        self._accept(data, samples, now_ms)

    @property
    def due_at_ms(self) -> int | None:
        """When the open chunk is closed by its time; None where there is none."""
        return self._chunker.due_at_ms

    @property
    def takes_several(self) -> bool:
        """Whether `take_all` may have messages: packets that are kept, of a client whose clock no arrival can move."""
        return self._several is not None and self._clock is not None and self._several.takes_several

    def take_all(self, messages: Sequence[bytes], since_ms: int, now_ms: int) -> bool:
        """Takes messages at once that came one after another, the first of them at `since_ms`. False: take them one by one."""
        if self._several is None or not self.takes_several:
            return False
        played = self._several.take_all(messages, self.taken, since_ms, now_ms)
        if played is None:
            return False
        assert self._clock is not None  # noqa: S101 - `takes_several` looked
        self._heard_ms = now_ms
        self.taken += sum(map(len, messages))
        self._clock.position += played
        self.samples += played
        return True

    def mark(self, at_ms: int, now_ms: int) -> str | None:
        """The next byte was captured at `at_ms`; answers what is wrong with that, if anything."""
        if not mark_is_sane(at_ms, now_ms):
            return "a mark must not be older than 30 days, nor more than 60 s ahead of the server's clock"
        if self._lane.midway:
            return "a mark must not stand in the middle of a sample"
        if self._clock is None:
            self._mark_ms = at_ms
        elif not self._plain and self._clock.jumped_by(at_ms):
            self._begin_run(at_ms, now_ms)
        return None

    def flush(self, now_ms: int, then: Then) -> int:
        """Lets everything come out; answers the offset that is then covered."""
        self._release()
        return self._lane.flush(self.taken, now_ms, then)

    def tick(self, now_ms: int) -> None:
        """Time has passed."""
        if self._lateness is not None and self._lateness.decided(now_ms):
            self._decide(now_ms)
        if not self._held and self._lane.rests(now_ms - self._heard_ms):
            self._lane.flush(self.taken, now_ms, "more")
        self._lane.tick(now_ms)
        self._chunker.tick(now_ms)

    def job(self, now_ms: int) -> EncodeJob | None:
        """What shall be encoded now; one at a time."""
        return self._lane.job(now_ms)

    def encoded(self, result: Encoded, now_ms: int) -> None:
        """What came of the job."""
        self._lane.encoded(result, now_ms)

    def chunks(self) -> list[ReadyChunk]:
        """The chunks closed since the last call."""
        return self._chunker.take()

    def has_news(self, now_ms: int) -> bool:
        """Whether `chunks` or `job` have something to give. Most messages only add to what is collected."""
        if self._chunker.has_ready:
            return True
        due_at_ms = self._lane.due_at_ms
        return due_at_ms is not None and now_ms >= due_at_ms

    def _accept(self, data: bytes, samples: int, now_ms: int) -> None:
        clock = self._clock
        if clock is None:
            start = (
                self._mark_ms if self._mark_ms is not None else now_ms - samples * 1000 // self._source_rate
            )
            clock = self._clock = SampleClock(start, 0)
        self.taken += len(data) - self._tag_bytes
        played = self._lane.take(data, samples, self.taken, clock, now_ms)
        clock.position += played
        self.samples += played

    def _begin_run(self, at_ms: int, now_ms: int) -> None:
        self._lane.flush(self.taken, now_ms, "more")
        self._clock = SampleClock(at_ms, 0)
        self._lane.new_run(self._clock, now_ms)

    def _hold(self, data: bytes, samples: int, now_ms: int) -> bool:
        """Whether the message is held back because a new run may begin with it, or is taken care of."""
        assert self._clock is not None  # noqa: S101 - its caller looked
        held = samples * 48_000 // self._source_rate
        if self._held:
            held += self._held_by_channel.get(data[: self._tag_bytes], 0)
        late_ms = self._clock.late_ms(now_ms, held)
        if late_ms <= LATE_MS:
            if self._held:
                self._release()
            return False
        if self._lateness is None:
            self._lateness = Lateness(now_ms, late_ms)
        self._lateness.hear(late_ms)
        self._held.append(data)
        self._held_by_channel[data[: self._tag_bytes]] = held
        self.held_bytes += len(data) - self._tag_bytes
        if self._lateness.decided(now_ms):
            self._decide(now_ms)
        elif held > BURST_MS * 48:
            self._release()
        return True

    def _decide(self, now_ms: int) -> None:
        """Everything that came for two seconds was late: a new run begins with the first of it."""
        assert self._clock is not None and self._lateness is not None  # noqa: S101, PT018 - held audio has both
        start_48k = self._clock.at_48k + self._lateness.smallest_ms * 48
        if not self._lane.midway:
            self._begin_run(start_48k // 48, now_ms)
        self._release()

    def _release(self) -> None:
        """Takes what was held back."""
        held, self._held = self._held, []
        self._held_by_channel = {}
        self.held_bytes = 0
        self._lateness = None
        for data in held:
            self._accept(data, self._lane.measure(data), self._heard_ms)
