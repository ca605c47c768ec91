"""Reads an Ogg Opus stream strictly: one stream, whole, every page in order and every checksum right.

Owns the rules that tie pages to a stream. Recovers nothing: a file of ours is right or it is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

from audiocodec.errors import BadPacketError, OggError
from audiocodec.ogg.headers import MAX_HEADER_BYTES, OpusHead, OpusTags
from audiocodec.ogg.page import CONTINUED, FIRST, LAST, NO_GRANULE, Page, read_page
from audiocodec.packet import MAX_PACKET_BYTES, packet_durations, packet_facts

MAX_FILE_BYTES = 64 << 20
"""Largest file that is read whole; a minute of Opus at its highest rate takes 4 MiB."""


@dataclass(frozen=True, slots=True)
class OggOpus:
    """A whole stream."""

    head: OpusHead
    tags: OpusTags
    packets: list[bytes]
    """The audio packets, each a valid one."""
    end_granule: int
    """Samples at 48 kHz up to the end of what is played, pre-skip included."""


def read_ogg_opus(data: bytes) -> OggOpus:
    """The stream in this file, which must hold nothing else.

    Each page's granule position must be the sum of the durations of the packets so far; the last one may fall
    short of it, by no more than the last packet. OggError names structure and defect.
    """
    if len(data) > MAX_FILE_BYTES:
        raise OggError(f"file of {len(data)} bytes: {MAX_FILE_BYTES} are possible")
    stream = Stream(data)
    head, tags = headers_of(stream)
    packets: list[bytes] = []
    total = last = end_granule = 0
    while not stream.ended:
        at = stream.at
        page, complete = stream.page(MAX_PACKET_BYTES)
        if complete:
            try:
                durations = packet_durations(complete)
            except BadPacketError as error:
                raise _bad_packet(complete, at, len(packets)) from error
            packets += complete
            total += sum(durations)
            last = durations[-1]
        if not complete:
            if page.granule != NO_GRANULE:
                raise OggError(
                    f"page at byte {at}: granule position {page.granule}, but no packet ends there"
                )
            continue
        end_granule = page.granule
        least = total - last if page.flags & LAST else total
        if not least <= end_granule <= total:
            raise OggError(f"page at byte {at}: granule position {end_granule}, the packets make {total}")
    if not packets:
        raise OggError("stream: no audio packet")
    if end_granule < head.pre_skip:
        raise OggError(f"stream: {end_granule} samples are less than the pre-skip of {head.pre_skip}")
    return OggOpus(head, tags, packets, end_granule)


def _bad_packet(page: list[bytes], at: int, before: int) -> OggError:
    """Which of the page's packets is none, after so many `before` it in the stream."""
    for number, packet in enumerate(page, before):
        try:
            packet_facts(packet)
        except BadPacketError as error:
            return OggError(f"page at byte {at}: packet {number}: {error}")
    raise AssertionError("unreachable")


def read_ogg_headers(prefix: bytes) -> tuple[OpusHead, OpusTags]:
    """Head and tags from the first bytes of a file; OggError names the defect, also where they are too few."""
    return headers_of(Stream(prefix))


def headers_of(stream: Stream) -> tuple[OpusHead, OpusTags]:
    """Head and tags, where the stream begins: the first page holds the first one alone, the second ends its page (RFC 7845 §3)."""
    _, packets = stream.page(MAX_HEADER_BYTES)
    if len(packets) != 1 or stream.unfinished:
        raise OggError("first page: must hold OpusHead and nothing else")
    head = OpusHead.parse(packets[0])
    packets = []
    while not packets:
        at = stream.at
        page, packets = stream.page(MAX_HEADER_BYTES)
        if page.granule != (0 if packets else NO_GRANULE):
            raise OggError(f"page at byte {at}: granule position {page.granule} on a header page")
    if len(packets) != 1 or stream.unfinished:
        raise OggError("OpusTags: must end its page")
    return head, OpusTags.parse(packets[0])


class Stream:
    """Where the reader is in the file, and what of a packet it has from the pages before."""

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self.ended = False
        self._data = data
        self.serial: int | None = None
        self.sequence = 0
        """Pages so far."""
        self._parts: list[bytes] = []
        self._part_bytes = 0

    @property
    def unfinished(self) -> bool:
        """Whether the last page broke off in a packet."""
        return bool(self._parts)

    def page(self, max_packet_bytes: int) -> tuple[Page, list[bytes]]:
        """The next page, checked against the ones before, and the packets that end on it."""
        at = self.at
        page = self._next()
        packets = self._packets(page, at, max_packet_bytes)
        self._passed(page, at)
        return page, packets

    def _next(self) -> Page:
        at = self.at
        if self.ended:
            raise OggError(f"stream: ends before byte {at}, before its headers do")
        page = read_page(self._data, at)
        if self.serial is None:
            self.serial = page.serial
        if bool(page.flags & FIRST) != (self.sequence == 0):
            raise OggError(f"page at byte {at}: first-page flag {'missing' if at == 0 else 'in mid-stream'}")
        if page.serial != self.serial:
            raise OggError(f"page at byte {at}: serial {page.serial:#x}, the stream has {self.serial:#x}")
        if page.sequence != self.sequence:
            raise OggError(f"page at byte {at}: number {page.sequence} instead of {self.sequence}")
        if bool(page.flags & CONTINUED) != self.unfinished:
            raise OggError(
                f"page at byte {at}: continued flag {'missing' if self.unfinished else 'without need'}"
            )
        return page

    def _passed(self, page: Page, at: int) -> None:
        self.sequence += 1
        self.at = page.end
        if page.flags & LAST:
            self.ended = True
            if self.unfinished:
                raise OggError(f"page at byte {at}: the stream ends within a packet")
            if page.end != len(self._data):
                raise OggError(f"stream: {len(self._data) - page.end} bytes after its end")

    def _packets(self, page: Page, at: int, max_packet_bytes: int) -> list[bytes]:
        """The packets that end on this page; what is left of it is kept for the next one."""
        lacing, body = page.lacing, page.body
        if not self._parts and 255 not in lacing:
            # Each segment is a packet of its own, and shorter than any limit: what nearly every page of speech is.
            return [body[start:end] for start, end in pairwise(accumulate(lacing, initial=0))]
        packets = []
        start = end = 0
        for segment in lacing:
            end += segment
            if self._part_bytes + end - start > max_packet_bytes:
                raise OggError(f"page at byte {at}: packet of more than {max_packet_bytes} bytes")
            if segment < 255:
                packet = body[start:end]
                if self._parts:
                    packet = b"".join((*self._parts, packet))
                    self._parts = []
                    self._part_bytes = 0
                packets.append(packet)
                start = end
        if start < end:
            self._parts.append(body[start:end])
            self._part_bytes += end - start
        return packets
