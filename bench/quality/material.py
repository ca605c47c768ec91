"""What is encoded: speech at the rate and with the channels that a trial wants.

Owns how one mono recording becomes a stereo one. Reads files through the client, as `tapedeck send` does.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiocodec.resampler import resample
from tapedeck import sample
from tapedeck.audio_file import open_source

Samples = NDArray[np.int16]
"""One row a sample frame, one column a channel."""
Voices = Literal["one", "in turns", "at once"]
"""Mono; or two channels, in which the speakers take turns of `TURN_S` or talk all the time."""

TURN_S = 5


@dataclass(frozen=True, slots=True)
class Material:
    """One recording, to be had in any form."""

    name: str
    sample_rate: int
    """Hz, of the source."""
    mono: NDArray[np.int16]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.mono) / self.sample_rate

    def at(self, sample_rate: int, voices: Voices) -> Samples:
        """The audio at another rate; nothing is above half of the source's."""
        mono = self.mono
        if sample_rate != self.sample_rate:
            mono = samples(resample(mono.astype("<i2").tobytes(), self.sample_rate, sample_rate))
        if voices == "one":
            return mono[:, np.newaxis]
        # The far end says the same half a recording later, a little softer.
        far = np.asarray(np.roll(mono, len(mono) // 2) * 0.7, np.int16)
        if voices == "at once":
            return np.stack((mono, far), axis=1)
        near_speaks = np.arange(len(mono)) // (TURN_S * sample_rate) % 2 == 0
        return np.stack((mono * near_speaks, far * ~near_speaks), axis=1)


def load(path: str | None) -> Material:
    """A file at its own rate, in mono; without one the speech that comes with the client. AudioFileError where it cannot be read."""
    source = open_source(str(path if path is not None else sample.PATH), None, 1)
    name = source.name if path is not None else "the bundled sample"
    return Material(name, source.sample_rate, samples(b"".join(source.pieces())))


def samples(pcm: bytes) -> NDArray[np.int16]:
    """s16le as an array."""
    return np.frombuffer(pcm, "<i2").astype(np.int16)
