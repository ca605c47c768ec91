"""What the tests of audiocodec share: a recording, its packets, and the programs that judge our files."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from audiocodec import Encoder, Span

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
