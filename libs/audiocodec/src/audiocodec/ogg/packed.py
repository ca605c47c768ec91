"""Packets of one duration as their pages hold them: sizes and bytes, never parted into objects of their own.

Who copies hours of packets need not look at each: a page of these is cut out by arithmetic. Owns what such packets are, and the reading of a
stream that holds one-frame packets only. What has anything else in it is for `reader`, which also says what is wrong with a broken one.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from audiocodec.ogg.checksum import are_right
from audiocodec.ogg.page import HEADER, HEADER_BYTES, LAST, MAX_SEGMENTS
from audiocodec.ogg.paging import Paged
from audiocodec.ogg.reader import MAX_FILE_BYTES
from audiocodec.ogg.writer import PAGE_SAMPLES
from audiocodec.packet import single_samples

if TYPE_CHECKING:
    from collections.abc import Sequence


PAGE_PACKETS = 16
"""A page takes about as long to read as so many packets."""
REMEMBERED_FILES = 4096
"""Files whose packets need not be looked at again: those of three days of batches, a megabyte."""
HEADER_PAGES = 2
"""OpusHead's, and OpusTags', which may have more: a stream where it has is for `reader`."""


@dataclass(frozen=True, slots=True)
class PackedPackets:
    """Opus packets of 1 to 254 bytes, each of one frame (code 0, RFC 6716 §3.2.2), all of one duration."""

    sizes: bytes
    """A byte a packet."""
    data: bytes | memoryview
    """All packets, one after another."""
    samples: int
    """What each lasts, at 48 kHz."""
    toc: int | None = field(default=None, compare=False)
    """What each begins with; None where they do not begin alike, or nobody says so."""

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
        data = bytes(self.data)
        return tuple(data[at:end] for at, end in pairwise(accumulate(self.sizes, initial=0)))


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
        tocs = self.tocs[first:end]
        samples = _each_lasts(tocs)
        if not samples:
            return None
        toc = tocs[0] if tocs == tocs[:1] * len(tocs) else None
        at = sum(self.sizes[:first])
        sizes = self.sizes[first:end]
        until = at + sum(sizes) if end < len(self.sizes) else None
        return PackedPackets(sizes, memoryview(self.data)[at:until], samples, toc)

    def first(self, count: int) -> tuple[bytes, ...]:
        """The first packets, each as an object of its own."""
        return tuple(self.data[at:end] for at, end in pairwise(accumulate(self.sizes[:count], initial=0)))


def read_ogg_packed(data: bytes, most_packets: int = MAX_FILE_BYTES) -> OggPacked | None:
    """What `read_ogg_opus` gives, unparted; None where its audio pages would make it raise, or where packets have more than a frame, or than a segment.

    None also where it has more than `most_packets`, of which each page counts for PAGE_PACKETS: bytes tell little of how long it takes.
    """
    pages = _pages(data, most_packets) if len(data) <= MAX_FILE_BYTES else None
    if pages is None:
        return None
    starts, lacings, bodies = pages
    headers = b"".join([data[at : at + HEADER_BYTES] for at in starts])
    granules = _granules(data, starts, headers)
    if granules is None:
        return None
    audio, granules = lacings[HEADER_PAGES:], granules[HEADER_PAGES:]
    sizes, body = b"".join(audio), b"".join(bodies[HEADER_PAGES:])
    if 0 in sizes or 255 in sizes:
        return None
    tocs = _first_bytes(headers, sizes, body)
    if not _agree(granules, _page_samples(tocs, [len(lacing) for lacing in audio]), tocs[-1]):
        return None
    return OggPacked(data[: starts[HEADER_PAGES]], sizes, tocs, body, granules[-1])


def _pages(data: bytes, most_packets: int) -> tuple[list[int], list[bytes], list[memoryview]] | None:
    """Where each page begins, its lacing and its body; None where one has no packet, or they are too few or too many, or do not fill the file."""
    starts, lacings, bodies = list[int](), list[bytes](), list[memoryview]()
    at, packets, size, view = 0, 0, len(data), memoryview(data)
    while at < size:
        lacing_at = at + HEADER_BYTES
        if lacing_at > size:
            return None
        body_at = lacing_at + data[lacing_at - 1]
        lacing = data[lacing_at:body_at]
        starts.append(at)
        at = body_at + sum(lacing)
        lacings.append(lacing)
        bodies.append(view[body_at:at])
        packets += len(lacing)
        if not lacing or packets > most_packets or PAGE_PACKETS * len(starts) > most_packets:
            return None
    return (starts, lacings, bodies) if at == size and len(starts) > HEADER_PAGES else None


def _granules(data: bytes, starts: Sequence[int], headers: bytes) -> Sequence[int] | None:
    """Those of pages that begin with these headers; None where they are not one stream, whole and in order, or a checksum is wrong."""
    # A minute has 60 pages, and little else is done with them: so each step is one call for all of them.
    columns = zip(*HEADER.iter_unpack(headers), strict=True)
    magics, versions, flags, granules, serials, numbers, checksums, _ = columns
    count = len(starts)
    one_stream = magics.count(b"OggS") == versions.count(0) == serials.count(serials[0]) == count
    ends = any(flag & LAST for flag in flags[:HEADER_PAGES]) or any(flags[HEADER_PAGES:-1])
    if not one_stream or numbers != tuple(range(count)) or ends or flags[-1] != LAST:
        return None
    return granules if are_right(data, starts, checksums) else None


def _first_bytes(headers: bytes, sizes: bytes, data: bytes) -> bytes:
    """That of each packet, out of pages whose headers are these, and their checksums right."""
    # To look at each takes a third of all. So who reads a file again does not, where all were alike: headers with other checksums are another file's.
    alike = _alike(hashlib.sha256(headers + sizes).digest())
    if alike:
        return alike[0] * len(sizes)
    places = accumulate(sizes[:-1], initial=0)
    tocs = bytes(itemgetter(*places)(data)) if len(sizes) > 1 else data[:1]
    if tocs == tocs[:1] * len(tocs):
        alike.append(tocs[:1])
    return tocs


@functools.lru_cache(maxsize=REMEMBERED_FILES)
def _alike(digest: bytes) -> list[bytes]:
    """What all packets of the file whose headers and sizes have this digest begin with; empty where nobody has looked yet, or they are not alike."""
    del digest
    return []


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
    return list(granules[:-1]) == totals and total - single_samples(last_toc) <= granules[-1] <= total
