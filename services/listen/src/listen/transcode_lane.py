"""Audio that our own encoder makes: PCM at any rate, AAC, and whatever has two channels, on its way to chunks.

Owns the stretches, one for each encoder's life, and the channels: where a message belongs, what waits for a job, and what
of it the packets hold. Jobs go out one at a time and in order, with about a chunk of audio each. All positions are
arithmetic: what a message lasts is known from its headers, and the encoder's thread keeps to it. Must not decode or encode.
"""

from collections import deque
from typing import Final

from audiobus import Position
from listen.alignment import Alignment
from listen.audio_format import FRAME_SAMPLES, SOURCE_SAMPLE_TICKS, AudioFormat
from listen.channel import Channel
from listen.chunker import Chunker
from listen.compressed_message import CompressedMessage, read_message
from listen.encoding_job import Encoded, EncodeJob
from listen.errors import BadAudioError
from listen.lane import Then
from listen.sample_clock import SampleClock
from listen.stretch import NO_LAG, NextTicks, Stretch

CHANNEL_BYTES: Final = (1, 2)
"""Near and far."""
SILENCE_MS: Final = 2_000
"""After this much silence on the line the encoder gives out what it holds back."""
STALLED_MS: Final = 10_000
"""As `SILENCE_MS`, where one of two channels is still waited for."""
PIECE_BYTES: Final = 200
"""What is noted of a message, or of a place in it."""
STRETCH_BYTES: Final = 2_000
"""What an encoder's life needs, however little it takes: a client may begin one with every mark."""


class TranscodeLane:
    """One session's audio that is decoded, resampled, aligned and encoded."""

    def __init__(
        self, audio_format: AudioFormat, chunker: Chunker, chunk_ms: int, position: Position | None = None
    ) -> None:
        """A fresh session's lane, or that of one that goes on after `position`."""
        self._format = audio_format
        self._chunker = chunker
        self._chunk_ms = chunk_ms
        self._sample_bytes = audio_format.sample_bytes
        self._tick_48k = audio_format.source_rate
        self._frame_ticks = FRAME_SAMPLES * self._tick_48k
        # Opus of two channels is acked 320 ms later than it is stored, and 200 ms more where one is silent: smaller jobs keep its acks
        # within their time.
        job_ms = chunk_ms if audio_format.is_pcm or audio_format.codec == "aac" else chunk_ms * 3 // 5
        self._job_ticks = max(1, job_ms // 20) * self._frame_ticks
        skip = 0 if audio_format.is_pcm else audio_format.pre_skip * SOURCE_SAMPLE_TICKS
        self._channels = tuple(Channel(skip) for _ in range(audio_format.channels))
        self._alignment = Alignment(self._channels, 48 * self._tick_48k) if len(self._channels) > 1 else None
        self._only = self._channels[0] if audio_format.is_pcm and self._alignment is None else None
        """The channel of mono PCM."""
        self._stretches: deque[Stretch] = deque()
        self._current: Stretch | None = None
        """The last of them, as long as it goes on."""
        self._ended_pieces = 0
        """Of the others, as they were when each ended."""
        self._job: EncodeJob | None = None
        """What is being encoded."""
        self._run_start_ms: int | None = None
        self._next_sample = 0
        """Position in the run, at 48 kHz, at which the next stretch begins."""
        self._offset = chunker.offset
        """The session's byte at which it begins."""
        self._aligned = 0
        """Up to here every channel is known, in the run's ticks."""
        self._read: tuple[bytes, CompressedMessage] | None = None
        """What was measured last."""
        if position is not None:
            self._resume(position)
        self.reach = max(0, *(channel.standing // self._tick_48k for channel in self._channels))
        """The furthest channel's end in the run, at 48 kHz."""

    @property
    def midway(self) -> bool:
        """Whether a channel stands within a sample."""
        return any(channel.odd for channel in self._channels)

    @property
    def idle(self) -> bool:
        """Whether everything taken is in closed chunks, but for what an encoder that goes on holds back."""
        if self._job is not None or self._chunker.holds:
            return False
        # Half a sample alone is nothing that could ever be encoded.
        waits = self._flushable and self._current is not None and self._current.waits
        return not waits and all(stretch is self._current for stretch in self._stretches)

    @property
    def overhead_bytes(self) -> int:
        """About how much memory it takes beside the payload: a client may cut that as small as it likes."""
        pieces = self._ended_pieces + (self._current.pieces if self._current else 0)
        return STRETCH_BYTES * len(self._stretches) + PIECE_BYTES * pieces

    def rests(self, quiet_ms: int) -> bool:
        """Whether an encoder, or a job to come, holds something back that shall come out, as the line is quiet for so long.

        While one channel is waited for, the line may be stalled between two messages: filled then, it would slip.
        """
        if self._alignment is not None and self._alignment.waiting and quiet_ms < STALLED_MS:
            return False
        return quiet_ms >= SILENCE_MS and self._flushable

    @property
    def due_at_ms(self) -> int | None:
        """When `job` has something to say; None if not before more comes."""
        if self._job is not None or not self._stretches:
            return None
        stretch = self._stretches[0]
        waiting = self._aligned - stretch.taken_to
        if stretch.end is not None or waiting >= self._job_ticks:
            return 0
        return stretch.since_ms + self._chunk_ms if waiting >= self._frame_ticks else None

    def measure(self, data: bytes) -> int:
        """The client's samples that a message holds, or completes.

        Raises:
            BadAudioError: it is no message of the codec, or of no channel.
            WrongRateError: AAC of another rate than the client said.
        """
        channel, payload = self._channels[0], data
        if self._alignment is not None:
            if not data or data[0] not in CHANNEL_BYTES:
                raise BadAudioError("the first byte of a message is its channel: 1 or 2")
            channel, payload = self._channels[data[0] - 1], data[1:]
        if self._sample_bytes:
            return (len(channel.odd) + len(payload)) // self._sample_bytes
        message = read_message(self._format, payload)
        self._read = data, message
        return message.samples

    def new_run(self, clock: SampleClock, now_ms: int) -> None:  # noqa: ARG002 - the lane's other kind needs it
        """The next message begins the run of `clock`. The last stretch has been flushed before."""
        self._run_start_ms = clock.run_start_ms
        for channel in self._channels:
            channel.begin_run()
        self._next_sample = self._aligned = self.reach = 0

    def take(self, data: bytes, samples: int, end_offset: int, clock: SampleClock, now_ms: int) -> int:
        """Takes a measured message; answers by how much the run's end moves, at 48 kHz."""
        if self._only is not None and self._follows(self._only, data, samples, end_offset, now_ms):
            return self._reach_to(self._aligned)
        number, payload = 0, data
        if self._alignment is not None:
            number, payload = data[0] - 1, data[1:]
        channel = self._channels[number]
        stretch = self._current or self._begin()
        if stretch.run_start_ms is None:
            stretch.run_start_ms = self._run_start_ms = clock.run_start_ms
        if self._aligned <= stretch.taken_to:
            stretch.since_ms = now_ms
        joins = not channel.joined
        if joins:
            self._place(channel, samples * SOURCE_SAMPLE_TICKS, now_ms)
        if joins or not stretch.feeds[number].placed:
            stretch.place(number, channel.end, channel.plays_from)
        if self._sample_bytes:
            samples = self._take_pcm(stretch, number, payload, end_offset)
        else:
            self._take_message(stretch, number, data, payload, end_offset, joins=joins)
        channel.end += samples * SOURCE_SAMPLE_TICKS
        if self._alignment is None:
            self._aligned = channel.end
        else:
            self._alignment.heard(channel, now_ms, samples * SOURCE_SAMPLE_TICKS)
            self._fill(now_ms)
        return self._reach_to(channel.end)

    def leave_out(self, end_offset: int, now_ms: int) -> None:
        """Takes bytes that are no audio: they only count, after what came before them."""
        if self._stretches or self.midway:
            (self._current or self._begin()).ledger.leave_out(end_offset)
        else:
            self._chunker.leave_out(end_offset, now_ms)
            self._offset = end_offset

    def tick(self, now_ms: int) -> None:
        """Time has passed: a channel may have been silent for long enough."""
        if self._alignment is not None and self._current is not None:
            self._fill(now_ms)

    def flush(self, end_offset: int, now_ms: int, then: Then) -> int:
        """Lets the encoder give out everything taken; answers the offset that is then covered."""
        stretch = self._current
        if stretch is None:
            if not self._stretches:
                self._chunker.close(now_ms)  # bytes that were no audio, and nothing else
            if then != "nothing" or self._offset == end_offset:
                return self._offset
            stretch = self._begin()
        elif then != "nothing" and not self._flushable:
            return stretch.ledger.final_offset
        before = self._standings()
        # Who comes back sends what one channel is ahead again: the other one need not be filled.
        held_back = then == "return" and self._alignment is not None and self._alignment.waiting
        standings = [channel.standing for channel in self._channels]
        end = min(standings) if held_back else max(standings)
        tick = stretch.end_tick(end)
        for channel in self._channels:
            channel.settle(tick, end, tolerance=self._format.step_ticks // 2)
            if then == "nothing":
                channel.odd = b""
        self._offset = end_offset if then == "nothing" else stretch.ledger.final_offset
        resumable = then == "return" and (held_back or not self._format.is_pcm)
        stretch.finish(tick, self._offset, resumable=resumable, before=before, after=self._standings())
        self._ended_pieces += stretch.pieces_at_end
        self._next_sample = tick // self._tick_48k
        self._aligned = tick
        self._current = None
        return self._offset

    def job(self, now_ms: int) -> EncodeJob | None:
        """What shall be encoded now, if anything. One at a time: the next one after `encoded`."""
        while (due := self.due_at_ms) is not None and now_ms >= due:
            stretch = self._stretches[0]
            before: int | None = stretch.taken_to + self._job_ticks
            if stretch.end is None:
                before = min(self._aligned, stretch.taken_to + self._job_ticks)
            elif stretch.empty:
                self._count(stretch, now_ms)
                continue
            elif stretch.end.tick <= stretch.taken_to + self._job_ticks:
                before = None
            stretch.since_ms = now_ms
            self._job = stretch.job(before)
            return self._job
        return None

    def encoded(self, result: Encoded, now_ms: int) -> None:
        """What came of the job: packets with their offsets go to the chunker."""
        job, self._job = self._job, None
        stretch = self._stretches[0]
        assert job is not None and stretch.run_start_ms is not None  # noqa: S101, PT018 - the session's own order of events
        if job.fresh:
            self._chunker.begin(
                stretch.run_start_ms, stretch.first_sample, lead=result.lookahead, starts=True, now_ms=now_ms
            )
        offset = stretch.encoded(result, last=job.end is not None)
        for packet in result.packets:
            self._chunker.add(packet, FRAME_SAMPLES, offset, now_ms)
        if job.end is not None:
            self._chunker.leave_out(offset, now_ms)  # where nothing was played there is no packet
        self._close(stretch, now_ms, trim=result.trim)
        if job.end is not None:
            self._chunker.give_up()
            self._drop_first()

    def _resume(self, position: Position) -> None:
        self._run_start_ms, self._next_sample = position.run_start_ms, position.next_sample
        stored_to = self._aligned = position.next_sample * self._tick_48k
        lags = position.lags or (NO_LAG,) * len(self._channels)
        for channel, lag in zip(self._channels, lags, strict=True):
            channel.resume(None if lag.ticks is None else stored_to - lag.ticks, stored_to)
            channel.odd = lag.odd

    @property
    def _flushable(self) -> bool:
        """Whether an encoder, or a job to come, holds something back."""
        stretch = self._current
        return stretch is not None and (stretch.began or stretch.ledger.final_offset > stretch.ledger.offset)

    def _begin(self) -> Stretch:
        odd = tuple(channel.odd for channel in self._channels)
        stretch = Stretch(self._format, self._run_start_ms, self._next_sample, self._offset, odd)
        self._stretches.append(stretch)
        self._current = stretch
        return stretch

    def _drop_first(self) -> None:
        self._ended_pieces -= self._stretches.popleft().pieces_at_end

    def _follows(self, channel: Channel, data: bytes, samples: int, end_offset: int, now_ms: int) -> bool:
        """Takes what nearly every message of mono PCM is: whole samples that follow on. Whether it was that."""
        stretch = self._current
        if (
            stretch is None
            or channel.odd
            or samples * self._sample_bytes != len(data)
            or not stretch.ledger.extend(end_offset, samples)
        ):
            return False
        if self._aligned <= stretch.taken_to:
            stretch.since_ms = now_ms
        stretch.feeds[0].pcm += data
        channel.end = self._aligned = channel.end + samples * SOURCE_SAMPLE_TICKS
        return True

    def _take_pcm(self, stretch: Stretch, number: int, payload: bytes, end_offset: int) -> int:
        """Any bytes; answers how many samples they complete."""
        channel = self._channels[number]
        odd, first_offset = channel.odd, end_offset - len(payload)
        whole = odd + payload
        samples = len(whole) // self._sample_bytes
        size = samples * self._sample_bytes
        channel.odd = whole[size:]
        stretch.ledger.add_pcm(number, first_offset, end_offset, channel.end, samples, len(odd), channel.odd)
        stretch.feeds[number].add(whole[:size], channel.end)
        return samples

    def _take_message(
        self, stretch: Stretch, number: int, data: bytes, payload: bytes, end_offset: int, *, joins: bool
    ) -> None:
        """One message of a compressed codec."""
        channel = self._channels[number]
        known = self._read is not None and self._read[0] is data
        message = self._read[1] if self._read and known else read_message(self._format, payload)
        stretch.ledger.add(
            number,
            end_offset,
            channel.end,
            message.samples,
            message.warm_up * SOURCE_SAMPLE_TICKS,
            channel.plays_from if joins else None,
        )
        stretch.feeds[number].add(payload, channel.end)

    def _reach_to(self, tick: int) -> int:
        before = self.reach
        reach = tick // self._tick_48k
        if reach <= before:
            return 0
        self.reach = reach
        return reach - before

    def _place(self, channel: Channel, ticks: int, now_ms: int) -> None:
        if self._alignment is None:
            channel.join(channel.filled_to - channel.skip)
        else:
            self._alignment.place(channel, ticks, now_ms)

    def _fill(self, now_ms: int) -> None:
        """Fills the channel that is behind, if it is time."""
        assert self._alignment is not None and self._current is not None  # noqa: S101, PT018 - its callers looked
        standings = [channel.standing for channel in self._channels]
        filled = self._alignment.fill(now_ms)
        if filled is not None:
            number = self._channels.index(filled)
            self._current.silence(number, filled.filled_to, standings[number])
        self._aligned = min(channel.standing for channel in self._channels)

    def _count(self, stretch: Stretch, now_ms: int) -> None:
        """A stretch without audio has ended: it only moves the offset."""
        self._drop_first()
        if stretch.run_start_ms is not None:
            self._chunker.begin(
                stretch.run_start_ms, stretch.first_sample, lead=0, starts=False, now_ms=now_ms
            )
        self._chunker.leave_out(stretch.encoded(Encoded((), 0, 0), last=True), now_ms)
        self._close(stretch, now_ms)

    def _close(self, stretch: Stretch, now_ms: int, *, trim: int = 0) -> None:
        self._chunker.lags = stretch.lags(self._standings())
        self._chunker.close(now_ms, trim=trim)

    def _standings(self) -> NextTicks:
        return tuple(channel.end if channel.joined else None for channel in self._channels)
