"""What the tests of audiocodec share: a recording, its packets, and the programs that judge our files."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from audiocodec import Encoder, Span
from audiocodec.adts import SAMPLE_RATES

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="session")
def samples_folder() -> Path:
    return SAMPLES


@pytest.fixture(scope="session")
def speech() -> bytes:
    """Eight seconds of synthesised speech, s16le, mono, 16 kHz."""
    with av.open(str(SAMPLES / "speech-16k-mono.flac")) as file:
        return b"".join(frame.to_ndarray().tobytes() for frame in file.decode(audio=0))


@pytest.fixture(scope="session")
def speech_span(speech: bytes) -> Span:
    """That speech as one whole run, through our encoder."""
    encoder = Encoder(16_000)
    packets = encoder.encode(speech)
    last, trim = encoder.finish()
    return Span(
        conversation="c",
        epoch=1_732_147_200_123,
        first_offset=0,
        end_offset=len(speech),
        run_start_ms=1_732_147_200_000,
        first_sample=0,
        samples=len(speech) // 2 * 3,
        lead=encoder.lookahead,
        trim=trim,
        starts=True,
        packets=(*packets, *last),
    )


@pytest.fixture(scope="session")
def golden() -> bytes:
    """Two seconds of that speech as a file of our writer."""
    return (SAMPLES / "golden.opus").read_bytes()


@pytest.fixture(scope="session")
def encode_aac() -> Callable[[bytes, int, int], list[bytes]]:
    """Encodes mono PCM, taken to be at this rate, as AAC of this many equal channels: ADTS frames, one a message."""
    return functools.cache(_encode_aac)


def _encode_aac(pcm: bytes, rate: int, channels: int) -> list[bytes]:
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.bit_rate, encoder.format = rate, 64_000 * channels, "fltp"
    encoder.layout = "mono" if channels == 1 else "stereo"
    # Noise substitution is random in the decoder: without it, what was decoded twice is the same twice.
    encoder.options = {"aac_coder": "fast", "aac_pns": "0"}
    encoder.open()
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
    packets = []
    for at in range(0, len(samples) - 1_023, 1_024):
        both = np.repeat(samples[None, at : at + 1_024], channels, 0)
        frame = av.AudioFrame.from_ndarray(both, format="fltp", layout=encoder.layout.name)
        frame.sample_rate, frame.pts = rate, at
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [_adts_header(len(bytes(packet)), rate, channels) + bytes(packet) for packet in packets]


def _adts_header(payload_bytes: int, rate: int, channels: int) -> bytes:
    """MPEG-4, LC, no CRC (ISO/IEC 13818-7 §6.2.1)."""
    value = 0xFFF << 44 | 1 << 40 | 1 << 38 | SAMPLE_RATES.index(rate) << 34 | channels << 30
    return (value | payload_bytes + 7 << 13 | 0x7FF << 2).to_bytes(7, "big")
