"""Opus packets of one frame joined to longer ones of many (RFC 6716 §3.2.5), which libopus decodes in one call.

Owns the framing, and which packets can be joined: those of one frame each, with one table of contents, together no longer than a packet may be.
The frames stay as they are, so what is decoded is the same. Pure.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from audiocodec.packet import MAX_PACKET_SAMPLES, MAX_SINGLE_BYTES, single_samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from audiocodec.ogg.packed import PackedPackets

_TWO_BYTES_FROM = 252
"""Lengths from here on take two bytes (RFC 6716 §3.2.1)."""
_MANY_VBR = 0x80
"""In the second byte of code 3: lengths of their own, no padding; the other bits are the number of frames."""
_LENGTHS: Final = bytes(max(0, size - 1) for size in range(256))
"""That of a packet's frame, by the packet's size."""


class PackedGroup:
    """Packets that `join` can join, not parted yet: at least two, none of them longer than 252 bytes."""

    __slots__ = ("_data", "_sizes")

    def __init__(self, sizes: bytes, data: bytes) -> None:
        self._sizes = sizes
        self._data = data

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[bytes]:
        for at, end in pairwise(accumulate(self._sizes, initial=0)):
            yield self._data[at:end]

    def joined(self) -> bytes:
        """One packet with their frames."""
        sizes, data = self._sizes, self._data
        head = bytes((data[0] | 0b11, _MANY_VBR | len(sizes)))
        frames = [data[at + 1 : end] for at, end in pairwise(accumulate(sizes, initial=0))]
        return b"".join((head, sizes[:-1].translate(_LENGTHS), *frames))


def joinable_packed(packets: PackedPackets) -> Iterator[Sequence[bytes] | PackedGroup]:
    """As `joinable`, of packets that were not parted: nor are they where all are short, and begin alike."""
    if packets.toc is None or max(packets.sizes, default=0) > _TWO_BYTES_FROM:
        yield from joinable(packets.parted())
        return
    sizes, data, many = packets.sizes, bytes(packets.data), MAX_PACKET_SAMPLES // packets.samples
    at = 0
    for first in range(0, len(sizes), many):
        group = sizes[first : first + many]
        end = at + sum(group)
        yield PackedGroup(group, data[at:end]) if len(group) > 1 else (data[at:end],)
        at = end


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


def join(group: Sequence[bytes] | PackedGroup) -> bytes:
    """One packet with the frames of a group; one that is alone stays as it is."""
    if isinstance(group, PackedGroup):
        return group.joined()
    if len(group) == 1:
        return group[0]
    head = bytearray((group[0][0] | 0b11, _MANY_VBR | len(group)))
    for packet in group[:-1]:
        length = len(packet) - 1
        if length < _TWO_BYTES_FROM:
            head.append(length)
        else:
            low = _TWO_BYTES_FROM + (length & 0b11)
            head += bytes((low, (length - low) >> 2))
    return b"".join((head, *[packet[1:] for packet in group]))
