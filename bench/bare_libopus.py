"""libopus through ctypes with nothing around it: the baseline of everything that encodes or decodes.

Owns prototypes of its own on the very library that `audiocodec` uses, or on another one that is named, and loops that only call it and
keep what it gives.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from audiocodec import libopus

Application = Literal["voip", "audio"]
APPLICATIONS: dict[Application, int] = {"voip": 2048, "audio": 2049}
SET_BITRATE = 4002
SET_COMPLEXITY = 4010
SET_INBAND_FEC = 4012
SET_PACKET_LOSS_PERC = 4014
SET_DTX = 4016
SET_SIGNAL = 4024
SIGNAL_VOICE = 3001
PACKET_ROOM = 4_000
MOST_SAMPLES = 5_760
"""120 ms at 48 kHz."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How an encoder is set up."""

    sample_rate: int = 16_000
    """Hz."""
    channels: int = 1
    bitrate: int = 24_000
    """bit/s, of all channels together."""
    complexity: int = 10
    application: Application = "voip"
    fec_loss_percent: int = 0
    """In-band FEC for so much loss; 0: none."""
    dtx: bool = False
    voice: bool = False
    """Whether libopus is told that it is speech (OPUS_SET_SIGNAL), beyond the application."""

    @property
    def frame_bytes(self) -> int:
        """20 ms of s16le."""
        return self.sample_rate // 50 * 2 * self.channels


@cache
def _library(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    c_int, pointer, data = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
    library.opus_encoder_create.restype = pointer
    library.opus_encoder_create.argtypes = (c_int, c_int, c_int, pointer)
    library.opus_encoder_ctl.argtypes = (pointer, c_int)
    library.opus_encoder_destroy.argtypes = (pointer,)
    library.opus_encode.argtypes = (pointer, data, c_int, pointer, ctypes.c_int32)
    library.opus_decoder_create.restype = pointer
    library.opus_decoder_create.argtypes = (c_int, c_int, pointer)
    library.opus_decoder_destroy.argtypes = (pointer,)
    library.opus_decode.argtypes = (pointer, data, ctypes.c_int32, pointer, c_int, c_int)
    return library


def encode(frames: Sequence[bytes], settings: Settings, path: str | None = None) -> list[bytes]:
    """The packets of 20 ms frames (s16le interleaved, exactly one frame each), by the library at `path` or audiocodec's."""
    library = _library(path or libopus.load().path)
    application = APPLICATIONS[settings.application]
    state = library.opus_encoder_create(settings.sample_rate, settings.channels, application, None)
    requests = [(SET_BITRATE, settings.bitrate), (SET_COMPLEXITY, settings.complexity)]
    if settings.fec_loss_percent:
        requests += [(SET_INBAND_FEC, 1), (SET_PACKET_LOSS_PERC, settings.fec_loss_percent)]
    if settings.dtx:
        requests.append((SET_DTX, 1))
    if settings.voice:
        requests.append((SET_SIGNAL, SIGNAL_VOICE))
    for request, value in requests:
        if library.opus_encoder_ctl(state, request, ctypes.c_int(value)):
            raise RuntimeError(f"libopus refused {value} for request {request}")
    out = ctypes.create_string_buffer(PACKET_ROOM)
    samples = settings.sample_rate // 50
    call, view = library.opus_encode, memoryview(out)
    packets = [view[: call(state, frame, samples, out, PACKET_ROOM)].tobytes() for frame in frames]
    library.opus_encoder_destroy(state)
    return packets


def decode(
    packets: Sequence[bytes], sample_rate: int, channels: int = 1, path: str | None = None
) -> list[bytes]:
    """The PCM of packets, s16le interleaved, a piece a packet."""
    library = _library(path or libopus.load().path)
    state = library.opus_decoder_create(sample_rate, channels, None)
    out = ctypes.create_string_buffer(MOST_SAMPLES * 2 * channels)
    room, sample_bytes = MOST_SAMPLES * sample_rate // 48_000, 2 * channels
    call, view = library.opus_decode, memoryview(out)
    pieces = [
        view[: sample_bytes * call(state, packet, len(packet), out, room, 0)].tobytes() for packet in packets
    ]
    library.opus_decoder_destroy(state)
    return pieces
