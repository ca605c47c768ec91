"""The file of a kept waveform: the peaks of what is played of one object. Bytes in, values out.

    magic "TDPEAKS1" | u32 sample rate | u8 channels | u8 bits, 8 | u16 frames a block, 256 | i64 first block | u32 blocks
    | 32-byte fingerprint | blocks × channels × (i8 smallest, i8 largest) | u32 CRC-32 of all before it            (all little-endian)

Owns this format, and the fingerprint: what is played of an object depends on what else is there, and in which form on the recording's first
run. A file with another fingerprint than is asked for is of no use, and made anew. So is one that was moved to another object.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audiocodec.peaks import BLOCK_FRAMES
from storage_api.errors import UnreadableError
from storage_api.pcm_rendering import PcmForm
from storage_api.stored_object import StoredObject
from storage_api.timeline import Play

MAGIC: Final = b"TDPEAKS1"
_HEAD: Final = struct.Struct("<8sIBBHqI32s")
_CRC: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class KeptPeaks:
    """Peaks of one object."""

    form: PcmForm
    first_block: int
    """Blocks since 1970."""
    peaks: bytes
    """As `audiocodec.peaks` has them: also what is not played has a place."""
    fingerprint: bytes

    def encode(self) -> bytes:
        """The file."""
        form, blocks = self.form, len(self.peaks) // self.form.frame_bytes
        head = _HEAD.pack(
            MAGIC,
            form.sample_rate,
            form.channels,
            8,
            BLOCK_FRAMES,
            self.first_block,
            blocks,
            self.fingerprint,
        )
        data = head + self.peaks
        return data + _CRC.pack(zlib.crc32(data))

    @classmethod
    def decode(cls, name: str, data: bytes) -> "KeptPeaks":
        """What this file holds. UnreadableError where it is none, of another version, or damaged."""
        if len(data) < _HEAD.size + _CRC.size or not data.startswith(MAGIC):
            raise UnreadableError(name, "damaged", "it is no kept waveform of this version")
        if data[-_CRC.size :] != _CRC.pack(zlib.crc32(memoryview(data)[: -_CRC.size])):
            raise UnreadableError(name, "damaged", "its checksum is not that of what it holds")
        _, rate, channels, bits, frames, first_block, blocks, fingerprint = _HEAD.unpack_from(data)
        peaks = data[_HEAD.size : -_CRC.size]
        if (bits, frames) != (8, BLOCK_FRAMES) or len(peaks) != blocks * channels * 2:
            raise UnreadableError(name, "damaged", "its peaks are not those that its head tells of")
        return cls(PcmForm(rate, channels), first_block, peaks, fingerprint)


def fingerprint(stored: StoredObject, plays: Sequence[Play], form: PcmForm) -> bytes:
    """What the peaks of these plays of the object follow from."""
    said = [f"{stored.info.name} {stored.size} {form.sample_rate} {form.channels}"]
    for play in plays:
        span = play.piece.span
        whence = f"{span.conversation} {span.epoch} {span.first_offset}-{span.end_offset}"
        said.append(f"{whence} {span.start_48k} {play.start_48k}-{play.end_48k}")
    return hashlib.sha256("\n".join(said).encode()).digest()
