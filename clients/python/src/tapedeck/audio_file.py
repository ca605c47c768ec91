"""Any audio file as s16le PCM, piece by piece, at its own rate and with its own one or two channels; through PyAV.

Must not do: send, or hold a whole file.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import av
from av.audio.resampler import AudioResampler

from audiocodec.errors import BadPcmError
from audiocodec.resampler import Resampler
from tapedeck.audio_format import MAX_RATE, MIN_RATE
from tapedeck.errors import AudioFileError

PIECE_BYTES = 8192
RAW_RATE = 16_000
"""Hz, of raw PCM where nothing else is said."""


@dataclass(frozen=True, slots=True)
class AudioSource:
    """Audio to be sent."""

    name: str
    sample_rate: int
    """Hz, of what `pieces` gives."""
    seconds: float | None
    """None where it can't be known before the end."""
    path: Path | None
    """None: standard input, which holds raw PCM."""
    channels: int = 1
    """1; or 2, interleaved: near is left, far is right."""
    own_rate: int | None = None
    """Hz, of what is read; None: the same."""

    def pieces(self, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
        """The audio, in pieces of that many bytes (s16le); the last is shorter. AudioFileError where it is damaged."""
        held = bytearray()
        for part in self._resampled():
            held += part
            while len(held) >= piece_bytes:
                yield bytes(held[:piece_bytes])
                del held[:piece_bytes]
        if held:
            yield bytes(held)

    def _resampled(self) -> Iterator[bytes]:
        own_rate = self.own_rate if self.own_rate is not None else self.sample_rate
        layout: Literal["mono", "stereo"] = "mono" if self.channels == 1 else "stereo"
        source = (
            _raw(sys.stdin.buffer, 2 * self.channels)
            if self.path is None
            else _decoded(self.path, AudioResampler(format="s16", layout=layout, rate=own_rate))
        )
        try:
            rate = Resampler(own_rate, self.sample_rate, self.channels)
        except BadPcmError as error:
            raise AudioFileError(f"{self.name} can't be resampled: {error}") from error
        for part in source:
            yield rate.process(part)
        yield rate.finish()


def open_source(name: str, sample_rate: int | None = None, channels: int | None = None) -> AudioSource:
    """A file's audio, or with `-` that of standard input (raw PCM, 16 kHz mono if not said otherwise).

    A file keeps its rate, or is resampled to `sample_rate`, or to the nearest that can be sent. It keeps its channels if they are one or
    two, or is mixed down to `channels`; more than two become one. AudioFileError: no audio, or fewer channels than asked for.
    """
    if name == "-":
        return AudioSource("-", sample_rate or RAW_RATE, None, None, channels or 1, sample_rate or RAW_RATE)
    path = Path(name)
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise AudioFileError(f"{path} has no audio")
            own_rate = container.streams.audio[0].rate
            own_channels = container.streams.audio[0].codec_context.channels
            seconds = container.duration / av.time_base if container.duration else None
    except (OSError, av.error.FFmpegError, ValueError) as error:
        raise AudioFileError(
            f"{path} can't be read: {error}", hint="give any audio file, or - for raw PCM"
        ) from error
    if channels is None:
        channels = 2 if own_channels == 2 else 1
    if channels > own_channels:
        raise AudioFileError(
            f"{path} has one channel, not two", hint="leave --channels out: it is sent as it is"
        )
    rate = sample_rate if sample_rate is not None else min(max(own_rate, MIN_RATE), MAX_RATE)
    return AudioSource(path.name, rate, seconds, path, channels, own_rate)


def _raw(stream: BinaryIO, frame_bytes: int) -> Iterator[bytes]:
    """Whole sample frames; what is none at the very end is left out."""
    while part := stream.read(PIECE_BYTES):
        yield part[: len(part) // frame_bytes * frame_bytes]


def _decoded(path: Path, resampler: AudioResampler) -> Iterator[bytes]:
    """The samples as FFmpeg brings them to 16 bits and to the channels wanted; their rate stays."""
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    yield part.to_ndarray().tobytes()
            for part in resampler.resample(None):
                yield part.to_ndarray().tobytes()
    except (OSError, av.error.FFmpegError, ValueError) as error:
        raise AudioFileError(
            f"{path} is damaged: {error}", hint="what was read until here has been sent"
        ) from error
