"""Opus packets to PCM.

Owns the decoder's state. Drops and trims nothing: that is `span.decode`.
Must not be used from two threads at once: libopus runs without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from itertools import islice
from typing import TYPE_CHECKING, Final

from audiocodec import native
from audiocodec.errors import BadPacketError, LibopusError
from audiocodec.joined_packets import PackedGroup, join, joinable, joinable_packed
from audiocodec.ogg.packed import PackedPackets
from audiocodec.packet import MAX_PACKET_BYTES, MAX_PACKET_SAMPLES
from audiocodec.pcm import check_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

STRETCH_GROUPS: Final = 8
"""Groups of packets, of up to 120 ms each, that are looked at together for what is too loud: a second mostly."""
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
        self._channels = channels
        self._floats = floats

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

    def decode_all(self, packets: Sequence[bytes] | PackedPackets) -> Iterator[bytes]:
        """PCM of packets, to the bit what `decode` gives for one after another, in pieces of up to a second.

        Packets are joined for it: a call for each frame would give the interpreter's lock away and want it back as often. libopus clips softly,
        and a packet at a time: so where anything is as loud as that, the decoder is put back to where it was, and takes them one by one. BadPacketError
        as with `decode`.
        """
        before = ctypes.create_string_buffer(native.bound().decoder_bytes(self._channels))
        out = ctypes.create_string_buffer(STRETCH_GROUPS * self._room * self._sample_bytes)
        groups = joinable_packed(packets) if isinstance(packets, PackedPackets) else joinable(packets)
        alone = loud = False
        while stretch := list(islice(groups, STRETCH_GROUPS)):
            if not alone and not loud:
                ctypes.memmove(before, self._state, len(before))
                pcm = self._joined(stretch, out)
                if pcm and not self._may_be_clipped(pcm):
                    yield pcm
                    continue
                ctypes.memmove(self._state, before, len(before))
            loud = False
            for group in stretch:
                pcm, alone = self._by_group(group, before, out, alone=alone)
                loud = loud or alone
                yield pcm

    def _by_group(
        self,
        group: Sequence[bytes] | PackedGroup,
        before: ctypes.Array[ctypes.c_char],
        out: ctypes.Array[ctypes.c_char],
        *,
        alone: bool,
    ) -> tuple[bytes, bool]:
        """PCM of a group, joined where the one before it was not too loud and it is not itself; and whether it may be. BadPacketError."""
        if len(group) > 1 and not alone:
            ctypes.memmove(before, self._state, len(before))
            pcm = self._joined((group,), out)
            if pcm and not self._may_be_clipped(pcm):
                return pcm, False
            ctypes.memmove(self._state, before, len(before))
        pcm = b"".join([self.decode(packet) for packet in group])
        # What was clipped at the end of a packet goes on at the start of the next one.
        return pcm, self._may_be_clipped(pcm)

    def _joined(
        self, groups: Sequence[Sequence[bytes] | PackedGroup], out: ctypes.Array[ctypes.c_char]
    ) -> bytes:
        """PCM of groups of packets, each decoded in one call; nothing where one does not decode. The decoder has heard some of them then."""
        decode, state, room, sample_bytes = self._decode, self._state, self._room, self._sample_bytes
        begins = at = ctypes.addressof(out)
        for group in groups:
            packet = join(group)
            length = len(packet)
            samples = decode(state, packet, length, at, room, 0) if 0 < length <= MAX_PACKET_BYTES else -1
            if samples < 0:
                return b""
            at += samples * sample_bytes
        return memoryview(out)[: at - begins].tobytes()

    def _may_be_clipped(self, pcm: bytes) -> bool:
        """Whether any sample is within a 128th of full scale; what is clipped reaches full scale."""
        if self._floats:
            return False
        high_bytes = pcm[1::2] if sys.byteorder == "little" else pcm[::2]
        return b"\x7f" in high_bytes or b"\x80" in high_bytes
