"""Things to record: every packet unlike every other, so that each can be accounted for."""

import random
from array import array

from audiocodec import Encoder


def noisy_pcm(seconds: float, seed: int, sample_rate: int = 16_000) -> bytes:
    """s16le mono: noise whose loudness wanders, the same for the same seed."""
    chance = random.Random(seed)
    samples = array("h")
    loudness = 4000.0
    for _ in range(int(seconds * sample_rate)):
        loudness = min(12_000.0, max(500.0, loudness + chance.uniform(-40, 40)))
        samples.append(int(max(-32_768, min(32_767, chance.gauss(0, 0.3) * loudness))))
    return samples.tobytes()


def opus_packets(seconds: float, seed: int, sample_rate: int = 16_000) -> list[bytes]:
    """20 ms Opus packets of such noise, each unlike every other."""
    packets = Encoder(sample_rate, complexity=2).encode(noisy_pcm(seconds, seed, sample_rate))
    assert len(set(packets)) == len(packets)
    return packets


def in_messages(pcm: bytes, size: int) -> list[bytes]:
    """PCM in messages of `size` bytes, the last one shorter."""
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]
