"""Things to record: every packet unlike every other, so that each can be accounted for."""

import random
from array import array
from fractions import Fraction

import av
import numpy as np

from audiocodec import Encoder
from audiocodec.adts import SAMPLE_RATES


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


def aac_messages(pcm: bytes, sample_rate: int, bit_rate: int = 64_000) -> list[bytes]:
    """AAC-LC of s16le mono, an ADTS frame a message; 1,024 samples of priming come first (ISO/IEC 13818-7 §6.2)."""
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.bit_rate, encoder.format, encoder.layout = (
        sample_rate,
        bit_rate,
        av.AudioFormat("fltp"),
        av.AudioLayout("mono"),
    )
    # Noise substitution is random in the decoder: without it, what is decoded twice is the same twice.
    encoder.options = {"aac_coder": "fast", "aac_pns": "0"}
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
    packets = []
    for at in range(0, len(samples) - 1_023, 1_024):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + 1_024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, at, Fraction(1, sample_rate)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [_adts_header(packet.size, sample_rate) + bytes(packet) for packet in packets]


def _adts_header(payload_bytes: int, sample_rate: int) -> bytes:
    """MPEG-4, LC, mono, no CRC."""
    value = 0xFFF << 44 | 1 << 40 | 1 << 38 | SAMPLE_RATES.index(sample_rate) << 34 | 1 << 30
    return (value | payload_bytes + 7 << 13 | 0x7FF << 2).to_bytes(7, "big")
