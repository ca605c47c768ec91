"""A stretch of older audio as PCM, ready to be played at any rate, or to be encoded.

Pure. Owns the arithmetic between the two clocks: older objects have a sample each 3 of those at 48 kHz that everything else counts in.
They begin at whole milliseconds, so their samples all lie on one grid, and those of objects that follow one another join without a seam. A
cut between two samples takes the nearest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from audiocodec.pcm import interleave
from audiocodec.resampler import resample
from audiostore.legacy import SAMPLE_RATE
from storage_api.passage import Passage
from storage_api.timeline import Play

STEP_48K: Final = 48_000 // SAMPLE_RATE
"""Samples at 48 kHz from one of theirs to the next."""


@dataclass(frozen=True, slots=True)
class OlderSound:
    """PCM to be played, and a little of what lies around it."""

    start_48k: int
    """Unix time of its first played sample, at 48 kHz."""
    samples: int
    """Played samples at 48 kHz."""
    pcm: bytes
    """s16le, mono, 16 kHz: what is played, with up to 50 ms before and after it."""
    first: int
    """Where `pcm` begins, in samples at 16 kHz since 1970."""

    @property
    def end_48k(self) -> int:
        """The moment after its last played sample."""
        return self.start_48k + self.samples

    @property
    def bytes_in_memory(self) -> int:
        """About."""
        return len(self.pcm)

    @property
    def played(self) -> bytes:
        """What is played, s16le mono at 16 kHz; a sample at least."""
        start = nearest(self.start_48k) - self.first
        end = max(nearest(self.end_48k) - self.first, start + 1)
        return self.pcm[2 * start : 2 * end]

    def at_rate(self, sample_rate: int, channels: int, late_48k: int, frames: int) -> bytes:
        """`frames` frames of it at another rate, both channels alike where there are two.

        The first of them lies `late_48k` after its first played sample, or before it.
        """
        pcm = resample(self.pcm, SAMPLE_RATE, sample_rate)
        # The first frame's time, counted from that of the first sample of `pcm`.
        into_48k = (self.start_48k - self.first * STEP_48K + late_48k) * sample_rate
        start = (into_48k + 24_000) // 48_000
        if start < 0:
            pcm = pcm[:2] * -start + pcm
            start = 0
        missing = start + frames - len(pcm) // 2
        if missing > 0:
            # Less than a frame was rounded away at each end: the last one stands for it.
            pcm += pcm[-2:] * missing
        piece = pcm[2 * start : 2 * (start + frames)]
        return interleave(piece, piece) if channels == 2 else piece


def nearest(position_48k: int) -> int:
    """The sample at 16 kHz nearest to a position at 48 kHz, both since 1970."""
    return (position_48k + STEP_48K // 2) // STEP_48K


def stretches(passage: Passage) -> list[Play]:
    """What must be read for a passage of older audio: what is played, and what lies around it."""
    around = (passage.before, *passage.plays, passage.after)
    return [play for play in around if play is not None]


def cut_out(play: Play, pcm: bytes) -> bytes:
    """The stretch of a play, out of all PCM of its object."""
    begins = nearest(play.piece.span.start_48k)
    return pcm[2 * (nearest(play.start_48k) - begins) : 2 * (nearest(play.end_48k) - begins)]


def join(passage: Passage, pieces: Mapping[Play, bytes]) -> OlderSound:
    """The sound of a passage, out of the PCM of all its stretches."""
    plays = stretches(passage)
    pcm = b"".join(pieces[play] for play in plays)
    return OlderSound(passage.plays[0].start_48k, passage.samples, pcm, nearest(plays[0].start_48k))
