"""Opus packets with a number: real speech in front, and in the padding who recorded it and which packet it is.

Tapedeck keeps a device's packets byte for byte, so a stored packet says by itself where it belongs. Padding is counted in
RFC 6716 §3.2.5; a decoder skips it.
"""

import struct
from collections.abc import Sequence
from typing import Final

NUMBER: Final = struct.Struct(">II")
_CODE_3: Final = 3
_VBR: Final = 0x80
_PADDING: Final = 0x40
_LONG_FRAME: Final = 252


def padded(packets: Sequence[bytes]) -> bytes:
    """One packet of the frames of single-frame packets (RFC 6716 §3.2.5), without the eight bytes of padding it announces.

    ValueError: the frames are not coded alike, so that one packet cannot hold them.
    """
    tocs = {packet[0] for packet in packets}
    if len(tocs) != 1 or next(iter(tocs)) & 3:
        raise ValueError(
            f"frames of {sorted(tocs)}: one packet holds frames of one kind, from packets of one frame"
        )
    toc = next(iter(tocs))
    frames = [packet[1:] for packet in packets]
    lengths = b"".join(_length(len(frame)) for frame in frames[:-1])
    head = bytes([toc | _CODE_3, _VBR | _PADDING | len(frames), NUMBER.size])
    return head + lengths + b"".join(frames)


def numbered(announced: bytes, device: int, index: int) -> bytes:
    """A packet of `padded`, complete."""
    return announced + NUMBER.pack(device, index)


def number_of(packet: bytes) -> tuple[int, int]:
    """Who recorded it, and which packet it is."""
    device, index = NUMBER.unpack(packet[-NUMBER.size :])
    return int(device), int(index)


def _length(size: int) -> bytes:
    """A frame's length in one or two bytes (RFC 6716 §3.2.1)."""
    if size < _LONG_FRAME:
        return bytes([size])
    first = _LONG_FRAME + (size - _LONG_FRAME) % 4
    return bytes([first, (size - first) // 4])
