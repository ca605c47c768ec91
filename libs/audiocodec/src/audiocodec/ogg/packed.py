"""Packets of one duration as their pages hold them: sizes and bytes, never parted into objects of their own.

Who copies hours of packets need not look at each: a page of these is cut out by arithmetic. Owns what such packets are, and the reading of a
stream that holds one-frame packets only. What has anything else in it is for `reader`, which also says what is wrong with a broken one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from audiocodec.errors import OggError
from audiocodec.ogg.checksum import fastest
from audiocodec.ogg.page import CRC_AT, HEADER, HEADER_BYTES, LAST, MAX_SEGMENTS
from audiocodec.ogg.paging import Paged
from audiocodec.ogg.reader import MAX_FILE_BYTES, Stream, headers_of
from audiocodec.ogg.writer import PAGE_SAMPLES
from audiocodec.packet import single_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audiocodec.ogg.headers import OpusHead, OpusTags


_NO_CRC = bytes(4)
_FLAGS = (0, LAST)


@dataclass(frozen=True, slots=True)
class PackedPackets:
    """Opus packets of 1 to 254 bytes, each of one frame (code 0, RFC 6716 §3.2.2), all of one duration."""

    sizes: bytes
    """A byte a packet."""
    data: bytes
    """All packets, one after another."""
    samples: int
    """What each lasts, at 48 kHz."""

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def page_packets(self) -> int:
        """So many fill a page."""
        return min(PAGE_SAMPLES // self.samples, MAX_SEGMENTS)

    @property
    def last_page(self) -> int:
        """Which of them begins the last page, where the first one begins a page."""
        return (len(self.sizes) - 1) // self.page_packets * self.page_packets

    @property
    def paged(self) -> Paged:
        """What they take as pages of their own."""
        count = len(self.sizes)
        pages = -(-count // self.page_packets)
        return Paged(pages, pages * HEADER_BYTES + count + len(self.data))

    def parted(self) -> tuple[bytes, ...]:
        """Each as an object of its own."""
        return tuple(self.data[at:end] for at, end in pairwise(accumulate(self.sizes, initial=0)))


@dataclass(frozen=True, slots=True)
class OggPacked:
    """A whole stream, its audio packets not parted."""

    head: OpusHead
    tags: OpusTags
    sizes: bytes
    """A byte a packet: 1 to 254."""
    tocs: bytes
    """The first byte of each."""
    data: bytes
    """All packets, one after another."""
    end_granule: int
    """Samples at 48 kHz up to the end of what is played, pre-skip included."""

    def part(self, first: int, end: int) -> PackedPackets | None:
        """Packets `first` to `end`, excluded; None where there are none, or not all of them are of one duration."""
        durations = set(map(single_samples, set(self.tocs[first:end])))
        if len(durations) != 1:
            return None
        at = sum(self.sizes[:first])
        sizes = self.sizes[first:end]
        until = at + sum(sizes) if end < len(self.sizes) else None
        return PackedPackets(sizes, self.data[at:until], durations.pop())

    def first(self, count: int) -> tuple[bytes, ...]:
        """The first packets, each as an object of its own."""
        return tuple(self.data[at:end] for at, end in pairwise(accumulate(self.sizes[:count], initial=0)))


def read_ogg_packed(data: bytes) -> OggPacked | None:
    """What `read_ogg_opus` gives, unparted; None where it would raise, or where packets have more than a frame, or than a segment."""
    if len(data) > MAX_FILE_BYTES:
        return None
    try:
        return _read(data)
    except (OggError, struct.error):  # the latter where a page's header is cut short
        return None


def _read(data: bytes) -> OggPacked | None:
    stream = Stream(data)
    head, tags = headers_of(stream)
    at, size, serial, number = stream.at, len(data), stream.serial, stream.sequence
    lacings, bodies, granules = [], [], []
    flags = 0
    crc_of, unpack, crc_at = fastest(), HEADER.unpack_from, CRC_AT
    # As `Stream` and `read_page` do it, in one loop: a minute has 60 pages, and little else is done with them.
    while not flags:
        magic, version, flags, granule, page_serial, page_number, crc, segments = unpack(data, at)
        body_at = at + HEADER_BYTES + segments
        lacing = data[at + HEADER_BYTES : body_at]
        end = body_at + sum(lacing)
        follows = (magic, version, page_serial, page_number) == (b"OggS", 0, serial, number)
        if not follows or flags not in _FLAGS or len(lacing) != segments or not lacing or end > size:
            return None
        if crc_of(b"".join((data[at : at + crc_at], _NO_CRC, data[at + crc_at + 4 : end]))) != crc:
            return None
        lacings.append(lacing)
        bodies.append(data[body_at:end])
        granules.append(granule)
        at, number = end, number + 1
    sizes, body = b"".join(lacings), b"".join(bodies)
    if at != size or granules[-1] < head.pre_skip or 0 in sizes or 255 in sizes:
        return None
    tocs = _first_bytes(sizes, body)
    if not _agree(granules, _page_samples(tocs, [len(lacing) for lacing in lacings]), tocs[-1]):
        return None
    return OggPacked(head, tags, sizes, tocs, body, granules[-1])


def _first_bytes(sizes: bytes, data: bytes) -> bytes:
    """That of each packet."""
    places = accumulate(sizes[:-1], initial=0)
    return bytes(itemgetter(*places)(data)) if len(sizes) > 1 else data[:1]


def _page_samples(tocs: bytes, counts: Sequence[int]) -> list[int]:
    """How long the packets of each page are, which begin with these bytes and are so many a page; 0 where not all are of one frame."""
    durations = set(map(single_samples, set(tocs)))
    if len(durations) == 1:
        samples = durations.pop()
        return [count * samples for count in counts]
    return [_samples(tocs[first:end]) for first, end in pairwise(accumulate(counts, initial=0))]


def _agree(granules: Sequence[int], page_samples: Sequence[int], last_toc: int) -> bool:
    """Whether each page's granule position is the sum of what its packets and those before them last; the last may be less by a part of its last packet."""
    if not all(page_samples):
        return False
    *totals, total = accumulate(page_samples)
    return granules[:-1] == totals and total - single_samples(last_toc) <= granules[-1] <= total


def _samples(tocs: bytes) -> int:
    """How long packets are that begin with these; 0 where not all of them are of one frame."""
    durations = list(map(single_samples, tocs))
    return sum(durations) if all(durations) else 0
