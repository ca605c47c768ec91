"""A device's own Opus encoder, with every setting a device may have, also changed on the way. `audiocodec.Encoder` has only ours."""

import ctypes
import weakref
from typing import Final

from audiocodec import native

REQUESTS: Final = {
    "bitrate": 4002,
    "vbr": 4006,
    "bandwidth": 4008,
    "complexity": 4010,
    "fec": 4012,
    "loss": 4014,
    "dtx": 4016,
    "signal": 4024,
}
"""opus_defines.h."""
BANDWIDTHS: Final = {"auto": -1000, "NB": 1101, "MB": 1102, "WB": 1103, "SWB": 1104, "FB": 1105}
FRAMES_MS: Final = (2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0)
ROOM: Final = 8_000


class DeviceEncoder:
    """One mono or stereo encoder: a frame of s16le in, a packet out."""

    def __init__(self, sample_rate: int, channels: int, application: str) -> None:
        lib = native.bound()
        api = lib.opuslib
        state = api.api.encoder.create_state(sample_rate, channels, api.APPLICATION_TYPES_MAP[application])
        self._state = ctypes.cast(state, ctypes.c_void_p)
        weakref.finalize(self, api.api.encoder.destroy, state).atexit = False
        self._lib = lib
        self._frame_bytes = 2 * channels
        self._out = ctypes.create_string_buffer(ROOM)

    def set(self, **settings: int) -> None:
        """Settings of REQUESTS."""
        for name, value in settings.items():
            code = self._lib.encoder_ctl(self._state, REQUESTS[name], ctypes.c_int(value))
            assert code == 0, f"{name} {value}: {native.reason(code)}"

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame: 2.5 to 120 ms."""
        size = self._lib.encode(self._state, pcm, len(pcm) // self._frame_bytes, self._out, ROOM)
        assert size > 0, native.reason(size)
        return self._out.raw[:size]
