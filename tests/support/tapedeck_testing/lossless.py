"""A recording without a socket, a Redis or a lossy codec: what goes in at one end can be found at the other, to the sample.

Everything is real but the encoder: its packets are raw frames here, with the lookahead, the padding and the frames of the
real one. The client keeps what it sent, so that it can be killed anywhere and resume as a client does.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from audiobus import Chunk, Position
from listen.audio_format import ENCODER_LOOKAHEAD, AudioFormat
from listen.channel_input import ChannelInput
from listen.encoding_job import Encoded, EncodeJob
from listen.errors import BadAudioError
from listen.recording import Dialect, Recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from listen.chunker import ReadyChunk
    from listen.lane import Then

NOW_MS: Final = 1_732_147_200_000


class LosslessEncoder:
    """What `SocketEncoder` does, with packets of raw s16le."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self.scale = audio_format.scale
        self.inputs = [ChannelInput(audio_format) for _ in range(audio_format.channels)]
        self._frame = 960 // self.scale
        self._rest = np.zeros((0, audio_format.channels), "<i2")

    def run(self, job: EncodeJob) -> Encoded:
        """Does a job."""
        lookahead = ENCODER_LOOKAHEAD // self.scale
        if job.fresh:
            self._rest = np.zeros((lookahead, len(self.inputs)), "<i2")
            for channel in self.inputs:
                channel.begin()
        for channel, operations in zip(self.inputs, job.channels, strict=True):
            for operation in operations:
                channel.do(operation)
            if job.end is not None:
                channel.end(job.end)

        count = min(channel.samples for channel in self.inputs)
        taken = [np.frombuffer(channel.take(count), "<i2") for channel in self.inputs]
        self._rest = np.concatenate([self._rest, np.stack(taken, axis=1)])
        trim = 0
        if job.end:
            trim = -len(self._rest) % self._frame
            self._rest = np.concatenate([self._rest, np.zeros((trim, len(self.inputs)), "<i2")])
        whole = 0 if job.end == 0 else len(self._rest) // self._frame
        packets = [self._rest[i * self._frame : (i + 1) * self._frame].tobytes() for i in range(whole)]
        self._rest = self._rest[whole * self._frame :]
        return Encoded(tuple(packets), trim * self.scale, ENCODER_LOOKAHEAD)


@dataclass(frozen=True)
class Stored:
    """One run as it is stored."""

    run_start_ms: int
    samples: NDArray[np.int16]
    """At the encoder's rate, a column a channel."""
    seams: tuple[int, ...]
    """Where encoders began anew."""


class Tape:
    """One client's session, killed and resumed as often as the test likes."""

    def __init__(
        self,
        codec: str,
        rate: int,
        channels: int = 1,
        *,
        pre_skip: int = 312,
        chunk_ms: int = 200,
        dialect: Dialect = "v1",
    ) -> None:
        self.format = AudioFormat(codec, rate, channels, pre_skip)
        self.now_ms = NOW_MS
        self.entries: list[ReadyChunk] = []
        self._dialect: Dialect = dialect
        self._chunk_ms = chunk_ms
        self._sent: list[bytes] = []
        """Messages, with their channel byte."""
        self.recording = Recording(self.format, dialect=dialect, chunk_ms=chunk_ms)
        self.encoder = LosslessEncoder(self.format)

    @property
    def offset(self) -> int:
        """Up to where the client was acked."""
        return self.entries[-1].end_offset if self.entries else 0

    @property
    def total(self) -> int:
        """Payload bytes sent."""
        return sum(len(message) - self.format.tag_bytes for message in self._sent)

    def send(self, payload: bytes, channel: int = 0) -> None:
        """A message."""
        message = bytes([channel + 1]) * self.format.tag_bytes + payload
        self._sent.append(message)
        self.recording.take(message, self.now_ms)
        self.settle()

    def wait(self, ms: int) -> None:
        """Time passes."""
        for _ in range(0, ms, 100):
            self.now_ms += min(100, ms)
            self.recording.tick(self.now_ms)
            self.settle()

    def flush(self, then: Then = "more") -> int:
        """Everything comes out."""
        covered = self.recording.flush(self.now_ms, then)
        self.settle()
        return covered

    def settle(self) -> None:
        """Does the encoder's work."""
        while (job := self.recording.job(self.now_ms)) is not None:
            self.recording.encoded(self.encoder.run(job), self.now_ms)
        self.entries += self.recording.chunks()

    def kill(self, lost: int = 0) -> None:
        """The process dies, the last `lost` entries with it; the client resumes and sends again what was not acked."""
        del self.entries[len(self.entries) - min(lost, len(self.entries)) :]
        newest = self.entries[-1] if self.entries else None
        position = (
            Position.parse_or_none(str(newest.position).encode()) if newest and newest.position else None
        )
        self.recording = Recording(
            self.format,
            dialect=self._dialect,
            chunk_ms=self._chunk_ms,
            offset=self.offset,
            position=position,
        )
        self.encoder = LosslessEncoder(self.format)
        at, tag = 0, self.format.tag_bytes
        for message in self._sent:
            end = at + len(message) - tag
            if end > self.offset:
                keep = max(0, self.offset - at)
                with contextlib.suppress(BadAudioError):
                    self.recording.take(message[:tag] + message[tag + keep :], self.now_ms)
                self.settle()
            at = end

    def stored(self) -> list[Stored]:
        """What lies in Redis, run by run; its positions are checked on the way."""
        runs: list[Stored] = []
        scale, channels = self.encoder.scale, self.format.channels
        offset = 0
        for entry in self.entries:
            chunk = entry.chunk
            assert isinstance(chunk, Chunk), "nothing was appended, so nothing is packed"
            assert chunk.first_offset == offset < entry.end_offset
            offset = entry.end_offset
            assert chunk.samples % scale == chunk.lead % scale == chunk.trim % scale == 0
            pcm = np.frombuffer(b"".join(chunk.packets), "<i2").reshape(-1, channels)
            played = pcm[chunk.lead // scale : len(pcm) - chunk.trim // scale]
            assert len(played) * scale == chunk.samples
            if not runs or runs[-1].run_start_ms != chunk.run_start_ms:
                runs.append(Stored(chunk.run_start_ms, np.zeros((0, channels), "<i2"), ()))
            run = runs[-1]
            assert chunk.first_sample == len(run.samples) * scale
            seams = (*run.seams, len(run.samples)) if chunk.starts else run.seams
            runs[-1] = Stored(run.run_start_ms, np.concatenate([run.samples, played]), seams)
        return runs
