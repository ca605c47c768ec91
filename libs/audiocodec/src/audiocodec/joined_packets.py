"""Opus packets of one frame joined to longer ones of many (RFC 6716 §3.2.5), which libopus decodes in one call.

Owns the framing, and which packets can be joined: those of one frame each, with one table of contents, together no longer than a packet may be.
The frames stay as they are, so what is decoded is the same. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiocodec.packet import MAX_PACKET_SAMPLES, MAX_SINGLE_BYTES, single_samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TWO_BYTES_FROM = 252
"""Lengths from here on take two bytes (RFC 6716 §3.2.1)."""
_MANY_VBR = 0x80
"""In the second byte of code 3: lengths of their own, no padding; the other bits are the number of frames."""


def joinable(packets: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The packets in their order, in groups of those that `join` can join; one that cannot be joined, be it a packet or not, is alone."""
    first, count = 0, len(packets)
    while first < count:
        begins, end = packets[first][:1], first + 1
        samples = single_samples(begins[0]) if begins and len(packets[first]) <= MAX_SINGLE_BYTES else 0
        if samples:
            most = min(count, first + MAX_PACKET_SAMPLES // samples)
            while end < most and packets[end][:1] == begins and len(packets[end]) <= MAX_SINGLE_BYTES:
                end += 1
        yield packets[first:end]
        first = end


def join(group: Sequence[bytes]) -> bytes:
    """One packet with the frames of a group of at least two."""
    head = bytearray((group[0][0] | 0b11, _MANY_VBR | len(group)))
    for packet in group[:-1]:
        length = len(packet) - 1
        if length < _TWO_BYTES_FROM:
            head.append(length)
        else:
            low = _TWO_BYTES_FROM + (length & 0b11)
            head += bytes((low, (length - low) >> 2))
    return b"".join((head, *[packet[1:] for packet in group]))
