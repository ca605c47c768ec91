"""The project's speech at any rate, as arrays."""

from functools import cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from audiocodec.resampler import resample
from tapedeck import sample

Sound = npt.NDArray[np.int16]

FOLDER = Path(__file__).parents[4] / "libs/audiocodec/tests/samples"
PATHS = (sample.PATH, FOLDER / "speech-16k-mono.flac")


@cache
def speech(sample_rate: int) -> Sound:
    """All of it, one after the other, mono: nearly two minutes."""
    pieces = []
    for path in PATHS:
        with av.open(str(path)) as file:
            pieces += [frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)]
    pcm = np.concatenate(pieces).astype(np.int16)
    if sample_rate == 16_000:
        return pcm
    return np.frombuffer(resample(pcm.tobytes(), 16_000, sample_rate), np.int16)
