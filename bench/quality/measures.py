"""How alike source and decoded audio are: two plain measures and two perceptual ones, of one channel.

Owns the definitions. Both sides must have been aligned to the sample before. The perceptual ones come from kept libraries (group
`quality`): PESQ (ITU-T P.862, P.862.2 for wideband) and STOI (Taal et al. 2011).
"""

import importlib
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocodec.resampler import resample
from bench.process import BenchError

Channel = NDArray[np.float64]

SEGMENT_S = 0.02
SNR_RANGE_DB = (-10.0, 35.0)
"""What a segment's SNR is clipped to: beyond it nobody hears a difference, and it would rule the mean."""
WINDOW_S = 0.032
ACTIVE_DB = 40.0
"""Segments more than this below the loudest one are silence, and left out."""
FLOOR = 1e-5
"""Of a window's mean power, added to each bin: what lies 50 dB below the rest is not heard."""
BAND_HZ = 8_000
"""Spectra are compared up to here: the bundled speech has nothing above."""
PIECE_S = 8
"""PESQ is made for sentences: it judges pieces of this length, of which the mean counts."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """One channel, decoded, against its source."""

    segmental_snr_db: float
    spectral_distance_db: float
    """Log-spectral distance: 0 for the same."""
    pesq: float
    """1.0 to 4.64 (wideband), to 4.55 (narrowband)."""
    stoi: float
    """0 to 1: how well it is understood."""


def likeness(source: Channel, decoded: Channel, sample_rate: int) -> Likeness:
    """All measures. Arrays of one length. Raises BenchError where the libraries are missing, or nothing is to be heard."""
    pesq, stoi = library("pesq"), library("pystoi")
    rate = 8_000 if sample_rate == 8_000 else 16_000
    a, b = (_at(x, sample_rate, rate) for x in (source, decoded))
    scores: list[float] = []
    for at in range(0, max(1, len(a) - PIECE_S * rate + 1), PIECE_S * rate):
        piece = slice(at, at + PIECE_S * rate)
        try:
            scores.append(float(pesq.pesq(rate, a[piece], b[piece], "nb" if rate == 8_000 else "wb")))
        except pesq.NoUtterancesError:
            continue  # a piece without speech has no score
    if not scores:
        raise BenchError("there is no speech to judge")
    return Likeness(
        segmental_snr_db(source, decoded, sample_rate),
        spectral_distance_db(source, decoded, sample_rate),
        fmean(scores),
        float(stoi.stoi(a, b, rate, extended=False)),
    )


def segmental_snr_db(source: Channel, decoded: Channel, sample_rate: int) -> float:
    """Mean over the active segments of their SNR, each clipped."""
    size = round(SEGMENT_S * sample_rate)
    a, b = (_rows(x, size, size) for x in (source, decoded))
    signal, noise = (a**2).sum(axis=1), ((a - b) ** 2).sum(axis=1)
    active = _active(signal)
    ratios = 10 * np.log10((signal[active] + 1) / (noise[active] + 1))
    return float(np.clip(ratios, *SNR_RANGE_DB).mean())


def spectral_distance_db(source: Channel, decoded: Channel, sample_rate: int) -> float:
    """Mean over the active windows of the RMS difference of their log spectra up to `BAND_HZ`."""
    size = round(WINDOW_S * sample_rate)
    shape = np.hanning(size)
    bins = min(size // 2, round(BAND_HZ * WINDOW_S))
    a, b = (np.abs(np.fft.rfft(_rows(x, size, size // 2) * shape)[:, :bins]) ** 2 for x in (source, decoded))
    active = _active(a.sum(axis=1))
    a, b = a[active], b[active]
    floor = FLOOR * a.mean(axis=1, keepdims=True)
    return float(np.sqrt(((10 * np.log10((a + floor) / (b + floor))) ** 2).mean(axis=1)).mean())


def library(name: str) -> Any:
    """A package of the group `quality`. BenchError says how to get it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise BenchError(
            f"{name} is not installed: `PATH=$PATH:.venv/bin uv sync --inexact --group quality` installs it"
        ) from error


def _at(x: Channel, sample_rate: int, rate: int) -> Channel:
    if sample_rate == rate:
        return x
    return np.frombuffer(resample(x.astype("<i2").tobytes(), sample_rate, rate), "<i2").astype(np.float64)


def _rows(x: Channel, size: int, step: int) -> Channel:
    """Windows of `size` that begin every `step` samples, a row each."""
    return np.lib.stride_tricks.sliding_window_view(x, size)[::step]


def _active(power: Channel) -> NDArray[np.bool_]:
    return np.asarray(power > power.max() * 10 ** (-ACTIVE_DB / 10), np.bool_)
