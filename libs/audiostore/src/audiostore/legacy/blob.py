"""The Opus blob: packets with their lengths, and how much PCM they decode to. It is not Ogg.

    u32 le packets | u32 le PCM bytes | packets × (u16 le length | packet)          16 kHz, mono, 20 ms frames

Owns this format. The decoded PCM is cut to `PCM bytes`: the last frame was padded. Nothing is cut at the front, so a blob plays the 104
samples of its encoder's lookahead late, as it always did. Packets of another length than 20 ms are taken as they say. Bytes
behind the last packet are ignored: the counts say what is there. Every count is checked before anything is made of it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from audiocodec.decoder import Decoder
from audiocodec.errors import CodecError
from audiocodec.packet import packet_facts
from audiostore.errors import LegacyFormatError
from audiostore.store import MAX_OBJECT_BYTES

SAMPLE_RATE = 16_000
"""Hz, mono: of all older formats."""
MAX_PACKETS = 131_072
"""43 minutes of 20 ms; five seconds are usual."""
MAX_PCM_BYTES = MAX_OBJECT_BYTES
"""What a blob may decode to: no more than an object may hold as PCM."""

_HEADER = struct.Struct("<II")
_LENGTH = struct.Struct("<H")
_LEAST_BYTES = _LENGTH.size + 1  # a packet is never empty
_BYTES_OF_48K = 3  # a sample at 16 kHz, two bytes, is three at 48 kHz


@dataclass(frozen=True, slots=True)
class OpusBlob:
    """A blob whose every length was checked."""

    packets: tuple[bytes, ...]
    pcm_bytes: int
    """What the packets decode to, less the padding of the last: even, and not 0."""

    def pcm(self) -> bytes:
        """The audio, s16le mono at 16 kHz: exactly `pcm_bytes`. Raises LegacyFormatError for a packet that does not decode."""
        decoder = Decoder(SAMPLE_RATE, 1)
        pieces, have = [], 0
        for number, packet in enumerate(self.packets):
            if have >= self.pcm_bytes:
                break
            try:
                piece = decoder.decode(packet)
            except CodecError as error:
                raise LegacyFormatError(f"Opus blob: packet {number}: {error}") from error
            pieces.append(piece)
            have += len(piece)
        return b"".join(pieces)[: self.pcm_bytes]


def read_blob(data: bytes) -> OpusBlob:
    """The blob in these bytes. Raises LegacyFormatError, naming the structure and the defect."""
    count, pcm_bytes = _header(data)
    packets, at, samples = [], _HEADER.size, 0
    for number in range(count):
        if len(data) - at < _LENGTH.size:
            raise LegacyFormatError(f"Opus blob: it ends at packet {number} of {count}, within its length")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length > len(data) - at:
            raise LegacyFormatError(
                f"Opus blob: packet {number} of {count} is cut short: {len(data) - at} of {length} bytes"
            )
        packet = data[at : at + length]
        at += length
        try:
            samples += packet_facts(packet).samples
        except CodecError as error:
            raise LegacyFormatError(f"Opus blob: packet {number} of {count}: {error}") from error
        packets.append(packet)
    decoded = samples // _BYTES_OF_48K * 2
    if pcm_bytes > decoded:
        raise LegacyFormatError(
            f"Opus blob: its header says {pcm_bytes} bytes of PCM, its {count} packets decode to {decoded}"
        )
    return OpusBlob(tuple(packets), pcm_bytes)


def told_pcm_bytes(data: bytes) -> int:
    """What the header of a blob that cannot be read says of its length, where it can be true; else 0."""
    try:
        count, pcm_bytes = _header(data)
    except LegacyFormatError:
        return 0
    return pcm_bytes if pcm_bytes <= count * 5_760 // _BYTES_OF_48K * 2 else 0  # 120 ms, the longest packet


def _header(data: bytes) -> tuple[int, int]:
    """Packets, and bytes of PCM without an odd one. LegacyFormatError where the bytes cannot hold so much."""
    if len(data) < _HEADER.size:
        raise LegacyFormatError(f"Opus blob: it ends within its header: {len(data)} of {_HEADER.size} bytes")
    count, pcm_bytes = _HEADER.unpack_from(data)
    if count > MAX_PACKETS:
        raise LegacyFormatError(f"Opus blob: its header says {count} packets; {MAX_PACKETS} are possible")
    if count * _LEAST_BYTES > len(data) - _HEADER.size:
        raise LegacyFormatError(
            f"Opus blob: its header says {count} packets, which {len(data) - _HEADER.size} bytes cannot hold"
        )
    if pcm_bytes > MAX_PCM_BYTES:
        raise LegacyFormatError(
            f"Opus blob: its header says {pcm_bytes} bytes of PCM; {MAX_PCM_BYTES} are possible"
        )
    return count, pcm_bytes // 2 * 2
