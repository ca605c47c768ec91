"""PCM on its way to chunks: collected for about a chunk, encoded in one job, given its offsets and samples.

Owns the stretches: one stretch is the life of one encoder, from its first sample to its flush. Jobs go out one at a
time and in order. The arithmetic: after n packets of P samples lookahead, n frames less P are what the packets decode to,
so an ack covers exactly the bytes of those; a flush brings out the rest, and what follows begins a new encoder with a
lead of P again. Must not encode.
"""

from collections import deque
from dataclasses import dataclass, field

from listen.audio_format import FRAME_SAMPLES, AudioFormat
from listen.chunker import Chunker
from listen.encoding_job import Encoded, EncodeJob
from listen.sample_clock import SampleClock


@dataclass(slots=True)
class _Stretch:
    """What one encoder takes."""

    run_start_ms: int
    first_sample: int
    """Position in the run of its first sample, at 48 kHz."""
    first_offset: int
    pcm: bytearray = field(default_factory=bytearray)
    """What no job has taken yet."""
    since_ms: int = 0
    """When the oldest byte of `pcm` came."""
    began: bool = False
    """A job was made of it: there is an encoder."""
    packets: int = 0
    end_offset: int | None = None
    """The session's byte up to which the flush goes; None while the stretch goes on."""


class PcmLane:
    """One session's PCM."""

    def __init__(self, audio_format: AudioFormat, chunker: Chunker, chunk_ms: int) -> None:
        self._format = audio_format
        self._chunker = chunker
        self._chunk_ms = chunk_ms
        self._job_bytes = max(1, chunk_ms // 20) * audio_format.frame_bytes
        self._stretches: deque[_Stretch] = deque()
        self._job: EncodeJob | None = None
        """What is being encoded."""
        self._odd = 0
        """Bytes of a sample that is not whole yet."""

    @property
    def midway(self) -> bool:
        """Whether the last message ended within a sample."""
        return self._odd > 0

    @property
    def idle(self) -> bool:
        """Whether everything taken is in closed chunks, but for what an encoder that goes on holds back."""
        if self._job is not None or self._chunker.holds:
            return False
        return all(stretch.end_offset is None and not self._whole(stretch) for stretch in self._stretches)

    @property
    def flushable(self) -> bool:
        """Whether an encoder, or a job to come, holds something back."""
        last = self._stretches[-1] if self._stretches else None
        return last is not None and last.end_offset is None and (last.began or bool(self._whole(last)))

    def measure(self, data: bytes) -> int:
        """Samples at 48 kHz that the message completes."""
        return (self._odd + len(data)) // self._format.sample_bytes * self._format.scale

    def new_run(self) -> None:
        """The next byte begins a run. The last stretch has been flushed before."""

    def take(self, data: bytes, samples: int, end_offset: int, clock: SampleClock, now_ms: int) -> int:
        """Takes a measured message; answers how many played samples it adds."""
        if not self._stretches or self._stretches[-1].end_offset is not None:
            self._stretches.append(_Stretch(clock.run_start_ms, clock.position, end_offset - len(data)))
        stretch = self._stretches[-1]
        if not stretch.pcm:
            stretch.since_ms = now_ms
        stretch.pcm += data
        self._odd = (self._odd + len(data)) % self._format.sample_bytes
        return samples

    def leave_out(self, end_offset: int, now_ms: int) -> None:  # noqa: ARG002 - the lane's other kind needs them
        """Cannot come: any bytes are PCM."""
        raise AssertionError("PCM is never bad")

    def flush(self, end_offset: int, now_ms: int, *, ends: bool) -> int:
        """Lets the encoder give out everything; answers the offset that is then covered.

        Args:
            end_offset: bytes taken so far.
            now_ms: unix ms.
            ends: nothing follows: half a sample at the end is dropped, and counted.
        """
        covered = end_offset if ends else end_offset - self._odd
        if not self._stretches or self._stretches[-1].end_offset is not None:
            return covered
        stretch = self._stretches[-1]
        odd = bytes(stretch.pcm[len(stretch.pcm) - self._odd :])
        if not ends and not stretch.began and not self._whole(stretch):
            return covered
        del stretch.pcm[len(stretch.pcm) - self._odd :]
        stretch.end_offset = covered
        if ends:
            self._odd = 0
        elif odd:
            self._carry(odd, covered, now_ms)
        return covered

    def job(self, now_ms: int) -> EncodeJob | None:
        """What shall be encoded now, if anything. One at a time: the next one after `encoded`."""
        while self._job is None and self._stretches:
            stretch = self._stretches[0]
            whole = self._whole(stretch)
            if stretch.end_offset is not None and not stretch.began and not whole:
                # Half a sample, dropped at the end: it only moves the offset.
                if not self._chunker.holds and stretch.end_offset > stretch.first_offset:
                    self._chunker.leave_out(stretch.end_offset, now_ms)
                    self._chunker.close(now_ms)
                self._stretches.popleft()
                continue
            flush = stretch.end_offset is not None and whole <= self._job_bytes
            size = whole if flush else min(whole - whole % self._format.frame_bytes, self._job_bytes)
            if not flush and (size == 0 or not self._may_go(stretch, size, now_ms)):
                return None
            self._job = EncodeJob(bytes(stretch.pcm[:size]), fresh=not stretch.began, flush=flush)
            del stretch.pcm[:size]
            stretch.began = True
            stretch.since_ms = now_ms
            return self._job
        return None

    def encoded(self, result: Encoded, now_ms: int) -> None:
        """What came of the job: packets with their offsets go to the chunker."""
        job, self._job = self._job, None
        assert job is not None, "encoded without a job"  # noqa: S101 - the session's own order of events
        stretch = self._stretches[0]
        if job.fresh:
            self._chunker.begin(
                stretch.run_start_ms, stretch.first_sample, lead=result.lookahead, starts=True, now_ms=now_ms
            )
        last = len(result.packets) - 1
        for index, packet in enumerate(result.packets):
            stretch.packets += 1
            if job.flush and index == last and stretch.end_offset is not None:
                self._chunker.add(packet, FRAME_SAMPLES, stretch.end_offset, now_ms, trim=result.trim)
            else:
                decoded = stretch.packets * FRAME_SAMPLES - result.lookahead
                covered = decoded // self._format.scale * self._format.sample_bytes
                self._chunker.add(packet, FRAME_SAMPLES, stretch.first_offset + covered, now_ms)
        self._chunker.close(now_ms)
        if job.flush:
            self._stretches.popleft()

    @property
    def due_at_ms(self) -> int | None:
        """When `job` has something to say; None if not before more comes."""
        if self._job is not None or not self._stretches:
            return None
        stretch = self._stretches[0]
        if stretch.end_offset is not None or len(stretch.pcm) >= self._job_bytes:
            return 0
        return stretch.since_ms + self._chunk_ms if len(stretch.pcm) >= self._format.frame_bytes else None

    def _may_go(self, stretch: _Stretch, size: int, now_ms: int) -> bool:
        """Whether a job without flush is worth it: full, or waited for long enough."""
        if stretch.end_offset is not None or size >= self._job_bytes:
            return True
        return now_ms >= stretch.since_ms + self._chunk_ms

    def _whole(self, stretch: _Stretch) -> int:
        """Bytes of whole samples that no job has taken."""
        return len(stretch.pcm) - len(stretch.pcm) % self._format.sample_bytes

    def _carry(self, odd: bytes, first_offset: int, now_ms: int) -> None:
        """Half a sample outlives a flush: it begins the next stretch, where the flushed one ends."""
        flushed = self._stretches[-1]
        samples = (first_offset - flushed.first_offset) // self._format.sample_bytes * self._format.scale
        first_sample = flushed.first_sample + samples
        self._stretches.append(
            _Stretch(flushed.run_start_ms, first_sample, first_offset, bytearray(odd), now_ms)
        )
