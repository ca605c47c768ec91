"""libopus through ctypes with nothing around it: the baseline of everything that encodes or decodes.

Owns prototypes of its own on the very library that `audiocodec` uses, and loops that only call it and keep what it gives.
"""

import ctypes
from collections.abc import Sequence
from functools import cache

from audiocodec import libopus

OPUS_APPLICATION_VOIP = 2048
SET_BITRATE = 4002
SET_COMPLEXITY = 4010
PACKET_ROOM = 4_000
MOST_SAMPLES = 5_760
"""120 ms at 48 kHz."""


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(libopus.load().path)
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


def encode(frames: Sequence[bytes], sample_rate: int, *, bitrate: int, complexity: int) -> list[bytes]:
    """The packets of 20 ms frames (s16le mono, exactly one frame each)."""
    library = _library()
    state = library.opus_encoder_create(sample_rate, 1, OPUS_APPLICATION_VOIP, None)
    library.opus_encoder_ctl(state, SET_BITRATE, ctypes.c_int(bitrate))
    library.opus_encoder_ctl(state, SET_COMPLEXITY, ctypes.c_int(complexity))
    out = ctypes.create_string_buffer(PACKET_ROOM)
    samples = sample_rate // 50
    call, view = library.opus_encode, memoryview(out)
    packets = [view[: call(state, frame, samples, out, PACKET_ROOM)].tobytes() for frame in frames]
    library.opus_encoder_destroy(state)
    return packets


def decode(packets: Sequence[bytes], sample_rate: int) -> list[bytes]:
    """The PCM of mono packets, s16le, a piece a packet."""
    library = _library()
    state = library.opus_decoder_create(sample_rate, 1, None)
    out = ctypes.create_string_buffer(MOST_SAMPLES * 2)
    room = MOST_SAMPLES * sample_rate // 48_000
    call, view = library.opus_decode, memoryview(out)
    pieces = [view[: 2 * call(state, packet, len(packet), out, room, 0)].tobytes() for packet in packets]
    library.opus_decoder_destroy(state)
    return pieces
