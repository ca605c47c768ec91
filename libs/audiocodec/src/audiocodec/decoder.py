"""Opus packets to PCM.

Owns the decoder's state. Drops and trims nothing: that is `span.decode`.
Must not be used from two threads at once: libopus runs without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Final

from audiocodec import native
from audiocodec.errors import BadPacketError, LibopusError
from audiocodec.packet import MAX_PACKET_BYTES, MAX_PACKET_SAMPLES
from audiocodec.pcm import check_format

if TYPE_CHECKING:
    from collections.abc import Iterable

RESET_STATE: Final = 4028
"""OPUS_RESET_STATE (opus_defines.h)."""


class Decoder:
    """One stream's decoder, to any Opus rate and to mono or stereo, whatever the packets are."""

    def __init__(self, sample_rate: int, channels: int, *, floats: bool = False) -> None:
        """With `floats` samples come as 32-bit floats of the machine, full scale at 1, for who compares below 16 bits.

        BadPcmError: a rate (Hz) or channel count that Opus has not.
        """
        check_format(sample_rate, channels)
        lib = native.bound()
        opus = lib.opuslib
        try:
            state = opus.api.decoder.create_state(sample_rate, channels)
        except opus.OpusError as error:
            raise LibopusError(f"libopus made no decoder: {native.reason(error.code)}") from error
        weakref.finalize(self, opus.api.decoder.destroy, state).atexit = False
        self._state = ctypes.cast(state, ctypes.c_void_p)
        self._decode = lib.decode_float if floats else lib.decode
        self._sample_bytes = (4 if floats else 2) * channels
        self._room = MAX_PACKET_SAMPLES * sample_rate // 48_000
        self._out = ctypes.create_string_buffer(self._room * self._sample_bytes)
        self._view = memoryview(self._out)

    def reset(self) -> None:
        """As if it had heard nothing yet: cheaper than another one."""
        code = native.bound().decoder_ctl(self._state, RESET_STATE)
        if code < 0:
            raise LibopusError(f"libopus resets no decoder: {native.reason(code)}")

    def hear(self, packets: Iterable[bytes]) -> None:
        """Decodes packets whose PCM nobody wants.

        BadPacketError: as `decode`; those before it were heard.
        """
        decode, state, out, room = self._decode, self._state, self._out, self._room
        for packet in packets:
            length = len(packet)
            if not 0 < length <= MAX_PACKET_BYTES or decode(state, packet, length, out, room, 0) < 0:
                self.decode(packet)  # it says why not

    def decode(self, packet: bytes) -> bytes:
        """PCM of one packet, s16le (or floats) interleaved, exactly as long as the packet says.

        BadPacketError: no valid packet; the decoder can go on with the next one.
        """
        length = len(packet)
        # An empty packet would make libopus invent what was lost.
        if not 0 < length <= MAX_PACKET_BYTES:
            raise BadPacketError(f"Opus packet of {length} bytes: 1 to {MAX_PACKET_BYTES} are possible")
        samples = self._decode(self._state, packet, length, self._out, self._room, 0)
        if samples < 0:
            raise BadPacketError(f"Opus packet of {length} bytes does not decode: {native.reason(samples)}")
        return self._view[: samples * self._sample_bytes].tobytes()
