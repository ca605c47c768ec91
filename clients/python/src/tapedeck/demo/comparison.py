"""How alike two pieces of audio are, in figures.

Must not do: I/O, or judge: what is good enough stands in `proof`. Arrays are int16 samples of one channel.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

WINDOW = 512
"""Samples of a spectrum: 32 ms at 16 kHz."""
POWER_FLOOR = 1e3
"""Added to each bin's power, so that digital silence (which no lossy codec keeps to the bit) weighs nothing."""
APART = 80
"""Samples (5 ms at 16 kHz) around the peak of the cross-correlation that count as that peak: speech resembles itself so far."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second piece against the first."""

    lag: int
    """Samples by which it is late, from the peak of the cross-correlation."""
    correlation: float
    """At that peak: 1 for the same."""
    runner_up: float
    """The next best lag's correlation, as a part of the peak's: small where the lag is beyond doubt."""
    snr_db: float
    """Signal to difference, with no lag taken out."""
    spectral_distance_db: float
    """Log-spectral distance, mean over windows."""


def compare(first: Samples, second: Samples) -> Comparison:
    """Raises ValueError where one of them is empty or silent."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    energy = float(np.sqrt((a @ a) * (b @ b)))
    if energy == 0:
        raise ValueError("nothing to compare: one of the two is empty or silent")
    size = 1 << int(len(a) + len(b) - 1).bit_length()
    products = np.abs(np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size))
    peak = int(products.argmax())
    height = float(products[peak])
    products[np.arange(peak - APART, peak + APART + 1) % size] = 0
    common = min(len(a), len(b))
    difference = a[:common] - b[:common]
    noise = float(difference @ difference)
    return Comparison(
        lag=peak if peak < size // 2 else peak - size,
        correlation=height / energy,
        runner_up=float(products.max()) / height,
        snr_db=10 * np.log10(float(a[:common] @ a[:common]) / noise) if noise else float("inf"),
        spectral_distance_db=_spectral_distance_db(a[:common], b[:common]),
    )


def _spectral_distance_db(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    windows = len(a) // WINDOW
    if windows == 0:
        return 0.0
    shape = np.hanning(WINDOW)
    powers = [
        np.abs(np.fft.rfft(x[: windows * WINDOW].reshape(windows, WINDOW) * shape)) ** 2 + POWER_FLOOR
        for x in (a, b)
    ]
    return float(np.sqrt(((10 * np.log10(powers[0] / powers[1])) ** 2).mean(axis=1)).mean())
