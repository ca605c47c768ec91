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

from audiocodec.ogg.checksum import checksum
from audiocodec.ogg.page import CRC_AT, HEADER, HEADER_BYTES, LAST, MAX_SEGMENTS
from audiocodec.ogg.paging import Paged
from audiocodec.ogg.reader import MAX_FILE_BYTES
from audiocodec.ogg.writer import PAGE_SAMPLES
from audiocodec.packet import single_samples

if TYPE_CHECKING:
    from collections.abc import Sequence


PAGE_PACKETS = 16
"""A page takes about as long to read as so many packets."""
HEADER_PAGES = 2
"""OpusHead's, and OpusTags', which may have more: a stream where it has is for `reader`."""
_NO_CRC = bytes(4)
_FLAGS = (0, LAST)
_SERIAL = 4
"""Which of the fields of a page's header is the serial number."""


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

    headers: bytes
    """Its first two pages, for `read_ogg_headers`: what they say was not looked at."""
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
        samples = _each_lasts(self.tocs[first:end])
        if not samples:
            return None
        at = sum(self.sizes[:first])
        sizes = self.sizes[first:end]
        until = at + sum(sizes) if end < len(self.sizes) else None
        return PackedPackets(sizes, self.data[at:until], samples)

    def first(self, count: int) -> tuple[bytes, ...]:
        """The first packets, each as an object of its own."""
        return tuple(self.data[at:end] for at, end in pairwise(accumulate(self.sizes[:count], initial=0)))


def read_ogg_packed(data: bytes, most_packets: int = MAX_FILE_BYTES) -> OggPacked | None:
    """What `read_ogg_opus` gives, unparted; None where its audio pages would make it raise, or where packets have more than a frame, or than a segment.

    None also where it has more than `most_packets`, of which each page counts for PAGE_PACKETS: bytes tell little of how long it takes.
    """
    if len(data) > MAX_FILE_BYTES:
        return None
    try:
        return _read(data, most_packets)
    except struct.error:  # a page's header is cut short
        return None


def _read(data: bytes, most_packets: int) -> OggPacked | None:
    lacings, bodies, granules = [], [], []
    checked: list[bytes] = []
    unpack, size = HEADER.unpack_from, len(data)
    serial = unpack(data)[_SERIAL]
    at = number = flags = audio_at = packets = 0
    # A minute has 60 pages, and little else is done with them: so this is one loop.
    while not flags & LAST:
        magic, version, flags, granule, page_serial, page_number, crc, segments = unpack(data, at)
        body_at = at + HEADER_BYTES + segments
        lacing = data[at + HEADER_BYTES : body_at]
        end = body_at + sum(lacing)
        packets += segments
        much = max(packets, PAGE_PACKETS * (number + 1)) > most_packets
        if (magic, version, page_serial, page_number) != (b"OggS", 0, serial, number) or end > size or much:
            return None
        body = data[body_at:end]
        checked += (
            data[at : at + CRC_AT],
            _NO_CRC,
            data[at + CRC_AT + 4 : body_at],
            body,
            crc.to_bytes(4, "big"),
        )
        number += 1
        at = end
        if number > HEADER_PAGES:
            if flags not in _FLAGS or len(lacing) != segments or not lacing:
                return None
            lacings.append(lacing)
            bodies.append(body)
            granules.append(granule)
        else:
            audio_at = end
    # A checksum that runs on over what it has given so far comes to zero, and begins anew with the next page: one call says whether all are right.
    if at != size or not lacings or checksum(b"".join(checked)):
        return None
    sizes, body = b"".join(lacings), b"".join(bodies)
    if 0 in sizes or 255 in sizes:
        return None
    tocs = _first_bytes(sizes, body)
    if not _agree(granules, _page_samples(tocs, [len(lacing) for lacing in lacings]), tocs[-1]):
        return None
    return OggPacked(data[:audio_at], sizes, tocs, body, granules[-1])


def _first_bytes(sizes: bytes, data: bytes) -> bytes:
    """That of each packet."""
    places = accumulate(sizes[:-1], initial=0)
    return bytes(itemgetter(*places)(data)) if len(sizes) > 1 else data[:1]


def _each_lasts(tocs: bytes) -> int:
    """How long packets are that begin with these, each; 0 where there are none, or not all of them are of one frame, or of one duration."""
    if tocs == tocs[:1] * len(tocs):  # what nearly all of them are
        return single_samples(tocs[0]) if tocs else 0
    durations = set(map(single_samples, set(tocs)))
    return durations.pop() if len(durations) == 1 else 0


def _page_samples(tocs: bytes, counts: Sequence[int]) -> list[int]:
    """How long the packets of each page are, which begin with these bytes and are so many a page; 0 where not all are of one frame."""
    if samples := _each_lasts(tocs):
        return [count * samples for count in counts]
    pages = [
        list(map(single_samples, tocs[first:end])) for first, end in pairwise(accumulate(counts, initial=0))
    ]
    return [sum(durations) if all(durations) else 0 for durations in pages]


def _agree(granules: Sequence[int], page_samples: Sequence[int], last_toc: int) -> bool:
    """Whether each page's granule position is the sum of what its packets and those before them last; the last may be less by a part of its last packet."""
    if not all(page_samples):
        return False
    *totals, total = accumulate(page_samples)
    return granules[:-1] == totals and total - single_samples(last_toc) <= granules[-1] <= total
