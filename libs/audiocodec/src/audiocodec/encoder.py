"""PCM to Opus packets of 20 ms.

Owns the encoder's state, the samples that do not fill a frame yet, and the arithmetic of lookahead and padding.
Must not be used from two threads at once: libopus runs without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, Literal

from audiocodec import native
from audiocodec.errors import BadPcmError, CodecError, LibopusError
from audiocodec.pcm import check_format

Application = Literal["voip", "audio", "restricted_lowdelay"]

FRAME_SAMPLES = 960
"""20 ms at 48 kHz: each packet of ours is one such frame."""
_PACKET_ROOM = 4_000  # bytes; what libopus recommends, more than thrice what 20 ms can need


class Encoder:
    """One stream's encoder: s16le in any pieces, packets of 20 ms out.

    The decoder's output begins `lookahead` samples before the first sample given here; `finish` pads the end so
    that the last sample given comes out too.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int = 1,
        bitrate: int = 24_000,
        complexity: int = 10,
        application: Application = "voip",
    ) -> None:
        """`sample_rate` in Hz, `bitrate` in bit/s, `complexity` 0 to 10.

        BadPcmError: a rate or channel count that Opus has not. LibopusError: libopus refuses a setting.
        """
        check_format(sample_rate, channels)
        lib = native.bound()
        opus = lib.opuslib
        try:
            state = opus.api.encoder.create_state(
                sample_rate, channels, opus.APPLICATION_TYPES_MAP[application]
            )
        except opus.OpusError as error:
            raise LibopusError(f"libopus made no encoder: {native.reason(error.code)}") from error
        weakref.finalize(self, opus.api.encoder.destroy, state).atexit = False
        self._state = ctypes.cast(state, ctypes.c_void_p)
        self._ctl = lib.encoder_ctl
        self._encode = lib.encode
        self._set(opus.SET_BITRATE_REQUEST, bitrate, "bitrate")
        self._set(opus.SET_COMPLEXITY_REQUEST, complexity, "complexity")
        if channels == 2 and application == "voip":
            # Left to itself libopus takes two voices at 48 kHz for music, which costs 0.8 of PESQ (docs/quality.md).
            self._set(opus.SET_SIGNAL_REQUEST, opus.SIGNAL_VOICE, "signal")
        self._scale = 48_000 // sample_rate
        self._frame = FRAME_SAMPLES // self._scale
        self._sample_bytes = 2 * channels
        self._frame_bytes = self._frame * self._sample_bytes
        self._out = ctypes.create_string_buffer(_PACKET_ROOM)
        self._view = memoryview(self._out)
        self._lookahead = self._get(opus.GET_LOOKAHEAD_REQUEST)
        self._rest = b""
        self._taken_bytes = 0
        self._finished = False

    @property
    def lookahead(self) -> int:
        """Samples at 48 kHz that the decoder's output lies behind the encoder's input."""
        return self._lookahead * self._scale

    def encode(self, pcm: bytes) -> list[bytes]:
        """The packets that are complete with these samples, s16le interleaved; what fills no frame is kept.

        BadPcmError: not a whole number of samples (nothing is taken). CodecError: the encoder is finished.
        """
        if len(pcm) % self._sample_bytes:
            raise BadPcmError(f"{len(pcm)} bytes of PCM: not a multiple of {self._sample_bytes}")
        self._expect_unfinished()
        data = self._rest + pcm
        size = self._frame_bytes
        whole = len(data) - len(data) % size
        packets = [self._packet(data[at : at + size]) for at in range(0, whole, size)]
        self._rest = data[whole:]
        self._taken_bytes += len(pcm)
        return packets

    def finish(self) -> tuple[list[bytes], int]:
        """The last packets, and how many samples at 48 kHz at their very end are padding, less than one frame.

        Pads with silence until every sample given can be decoded; none and 0 where none was given. The encoder
        is used up: CodecError on any further call.
        """
        self._expect_unfinished()
        taken = self._taken_bytes // self._sample_bytes
        if not taken:
            self._finished = True
            return [], 0
        padding = -(taken + self._lookahead) % self._frame
        packets = self.encode(bytes((self._lookahead + padding) * self._sample_bytes))
        self._finished = True
        return packets, padding * self._scale

    def _expect_unfinished(self) -> None:
        if self._finished:
            raise CodecError("the encoder is finished: begin a new one")

    def _packet(self, frame: bytes) -> bytes:
        # `frame` is exactly one frame of PCM: libopus reads that much, whatever it is given.
        size = self._encode(self._state, frame, self._frame, self._out, _PACKET_ROOM)
        if size < 1:
            raise LibopusError(f"libopus did not encode a frame: {native.reason(size)}")
        return self._view[:size].tobytes()

    def _set(self, request: int, value: int, name: str) -> None:
        code = self._ctl(self._state, request, ctypes.c_int(value))
        if code:
            raise LibopusError(f"libopus refused {name} {value}: {native.reason(code)}")

    def _get(self, request: int) -> int:
        value: Any = ctypes.c_int()
        code = self._ctl(self._state, request, ctypes.byref(value))
        if code:
            raise LibopusError(f"libopus did not answer request {request}: {native.reason(code)}")
        return int(value.value)
