"""Our own calls into libopus, where opuslib's are slow or unsafe.

Owns the ctypes prototypes, made on opuslib's loaded library (states made by opuslib belong to that very copy) but
separate from opuslib's own, so that neither disturbs the other. Checks nothing: callers check lengths first.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audiocodec import libopus

if TYPE_CHECKING:
    from collections.abc import Callable

# opus_packet_parse insists on a place for the frames' sizes. Nobody reads it, so that threads may share it.
_sizes = (ctypes.c_int16 * 48)()


@dataclass(frozen=True, slots=True)
class Native:
    """libopus, bound."""

    opuslib: Any
    """The opuslib package: its constants, its error, its api modules."""
    encode: Callable[..., int]
    """opus_encode(state, pcm: bytes, samples per channel, out buffer, its bytes) -> bytes or an error code."""
    decode: Callable[..., int]
    """opus_decode(state, packet: bytes, its length, out buffer, room in samples, fec) -> samples or an error."""
    decode_float: Callable[..., int]
    """opus_decode_float, the same into 32-bit floats, full scale at 1."""
    parse: Callable[..., int]
    """opus_packet_parse(packet: bytes, its length, NULL, NULL, sizes, NULL) -> frames or an error code."""
    encoder_ctl: Callable[..., int]
    """opus_encoder_ctl(state, request, argument) -> error code. The last argument is variadic."""
    decoder_ctl: Callable[..., int]
    """opus_decoder_ctl(state, request) -> error code."""
    decoder_bytes: Callable[[int], int]
    """opus_decoder_get_size(channels) -> bytes of a decoder's state, which may be copied as they are (opus_decoder.h)."""
    strerror: Callable[[int], bytes | None]


@functools.cache
def bound() -> Native:
    """The library loaded and bound, once per process; LibopusError where there is none."""
    libopus.load()
    opuslib = importlib.import_module("opuslib")
    library: ctypes.CDLL = opuslib.api.libopus
    c_int, c_int32, pointer, data = ctypes.c_int, ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p

    def bind(name: str, *arguments: type, returns: type = c_int) -> Any:
        function = library[name]  # by index: a function object of our own, not the one opuslib has set up
        function.argtypes = arguments
        function.restype = returns
        return function

    return Native(
        opuslib=opuslib,
        encode=bind("opus_encode", pointer, data, c_int, pointer, c_int32),
        decode=bind("opus_decode", pointer, data, c_int32, pointer, c_int, c_int),
        decode_float=bind("opus_decode_float", pointer, data, c_int32, pointer, c_int, c_int),
        parse=bind("opus_packet_parse", data, c_int32, pointer, pointer, pointer, pointer),
        # Only the fixed arguments: ctypes then calls it as the variadic function that it is.
        encoder_ctl=bind("opus_encoder_ctl", pointer, c_int),
        decoder_ctl=bind("opus_decoder_ctl", pointer, c_int),
        decoder_bytes=bind("opus_decoder_get_size", c_int),
        strerror=bind("opus_strerror", c_int, returns=data),
    )


def packet_frames(packet: bytes) -> int:
    """Frames in a packet of at least one byte, its whole framing checked, or a negative error code."""
    return bound().parse(packet, len(packet), None, None, _sizes, None)


def frame_sizes(packet: bytes) -> list[int]:
    """Bytes of each frame in a packet of at least one byte; empty where its framing is bad."""
    sizes = (ctypes.c_int16 * 48)()
    frames = bound().parse(packet, len(packet), None, None, sizes, None)
    return sizes[: max(0, frames)]


def reason(code: int) -> str:
    """What libopus says of one of its error codes. opuslib's own error can itself raise where it is printed."""
    return (bound().strerror(code) or b"unknown error").decode("ascii", "replace")
