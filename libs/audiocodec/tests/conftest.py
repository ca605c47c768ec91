"""What the tests of audiocodec share: a recording, its packets, and the programs that judge our files."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from audiocodec import Encoder, Span
from audiocodec.adts import SAMPLE_RATES
from audiocodec.native import bound

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


_CONTROLS = {
    "bitrate": 4002,
    "vbr": 4006,
    "in_band_fec": 4012,
    "packet_loss_percent": 4014,
    "dtx": 4016,
    "force_channels": 4022,
    "bandwidth": 4008,
    "mode": 11002,
}
"""Requests of opus_encoder_ctl (opus_defines.h, and opus_private.h for the mode)."""


@dataclass(frozen=True)
class OpusStream:
    """What an encoder that is not ours made."""

    packets: tuple[bytes, ...]
    lead: int
    """The encoder's lookahead, samples at 48 kHz."""


@pytest.fixture(scope="session")
def encode_opus() -> Callable[..., OpusStream]:
    """A device's encoder, with settings that ours has not.

    Takes PCM, rate, channels, frame length in ms, the application, settings by name, and those to change by frame.
    """
    return _encode_opus


def _encode_opus(
    pcm: bytes,
    rate: int,
    channels: int,
    frame_ms: float,
    application: int = 2048,
    changes: Callable[[int], dict[str, int]] = lambda _: {},
    **settings: int,
) -> OpusStream:
    lib, opus = bound(), bound().opuslib
    state = opus.api.encoder.create_state(rate, channels, application)

    def control(changed: dict[str, int]) -> None:
        for name, value in changed.items():
            assert lib.encoder_ctl(state, _CONTROLS[name], ctypes.c_int(value)) == 0, name

    control(settings)
    lookahead = ctypes.c_int()
    lib.encoder_ctl(state, opus.GET_LOOKAHEAD_REQUEST, ctypes.byref(lookahead))
    samples = int(rate * frame_ms / 1000)
    size, out, packets = 2 * channels * samples, ctypes.create_string_buffer(8_000), []
    for number, at in enumerate(range(0, len(pcm) - size + 1, size)):
        control(changes(number))
        length = lib.encode(state, pcm[at : at + size], samples, out, len(out))
        assert length > 0
        packets.append(out.raw[:length])
    opus.api.encoder.destroy(state)
    return OpusStream(tuple(packets), lookahead.value * 48_000 // rate)
