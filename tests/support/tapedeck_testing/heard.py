"""How what is heard compares with what was recorded: 16-bit PCM, one channel."""

import math
from array import array

import numpy as np

from audiocodec import Decoder, read_ogg_opus


def snr_db(heard: "array[int]", wanted: "array[int]", late: int = 0) -> float:
    """How well `heard`, which is `late` samples late, is `wanted`."""
    have, want = np.asarray(heard, dtype=float), np.asarray(wanted, dtype=float)
    assert len(have) == len(want)
    have, want = have[late:], want[: len(want) - late]
    return float(10 * math.log10((want**2).sum() / max(1.0, ((have - want) ** 2).sum())))


def lag(heard: "array[int]", wanted: "array[int]", most: int = 200) -> int:
    """By how many samples what is heard is late, as cross-correlation finds it in the first three seconds."""
    have, want = (np.asarray(pcm[:48_000], dtype=float) for pcm in (heard, wanted))
    inner = want[most:-most]
    return max(
        range(-most, most + 1),
        key=lambda shift: float(have[most + shift : most + shift + len(inner)] @ inner),
    )


def decoded(content: bytes, rate: int = 16_000) -> "array[int]":
    """What a player plays of an Ogg Opus file."""
    ogg = read_ogg_opus(content)
    decoder = Decoder(rate, 1)
    pcm = array("h", b"".join(decoder.decode(packet) for packet in ogg.packets))
    first = (ogg.head.pre_skip * rate + 24_000) // 48_000  # pre-skip counts at 48 kHz: the nearest
    return pcm[first:][: (ogg.end_granule - ogg.head.pre_skip) * rate // 48_000]
