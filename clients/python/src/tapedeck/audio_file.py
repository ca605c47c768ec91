"""Any audio file as s16le mono PCM at an Opus rate, piece by piece; through PyAV.

Must not do: send, or hold a whole file.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.resampler import AudioResampler

from tapedeck.errors import AudioFileError

OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
"""Hz; what the encoder takes (RFC 6716 §2)."""
PIECE_BYTES = 8192


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

    def pieces(self, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
        """The audio, in pieces of that many bytes (s16le mono); the last is shorter. AudioFileError where it is damaged."""
        source = _raw(sys.stdin.buffer) if self.path is None else _decoded(self.path, self.sample_rate)
        held = bytearray()
        for part in source:
            held += part
            while len(held) >= piece_bytes:
                yield bytes(held[:piece_bytes])
                del held[:piece_bytes]
        if held:
            yield bytes(held)


def open_source(name: str, sample_rate: int | None) -> AudioSource:
    """A file's audio, or with `-` that of standard input (raw PCM, 16 kHz if not said otherwise).

    A file is resampled to `sample_rate`; without one to its own rate, or the next Opus rate above it. AudioFileError.
    """
    if name == "-":
        return AudioSource("-", sample_rate if sample_rate is not None else 16000, None, None)
    path = Path(name)
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise AudioFileError(f"{path} has no audio")
            own_rate = container.streams.audio[0].rate
            seconds = container.duration / av.time_base if container.duration else None
    except (OSError, av.error.FFmpegError, ValueError) as error:
        raise AudioFileError(
            f"{path} can't be read: {error}", hint="give any audio file, or - for raw PCM"
        ) from error
    rate = (
        sample_rate
        if sample_rate is not None
        else next((r for r in OPUS_RATES if r >= own_rate), OPUS_RATES[-1])
    )
    return AudioSource(path.name, rate, seconds, path)


def _raw(stream: BinaryIO) -> Iterator[bytes]:
    while part := stream.read(PIECE_BYTES):
        yield part


def _decoded(path: Path, sample_rate: int) -> Iterator[bytes]:
    resampler = AudioResampler(format="s16", layout="mono", rate=sample_rate)
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
