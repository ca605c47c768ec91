"""Reads an Ogg Opus stream strictly: one stream, whole, every page in order and every checksum right.

Owns the rules that tie pages to a stream. Recovers nothing: a file of ours is right or it is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audiocodec.errors import BadPacketError, OggError
from audiocodec.ogg.headers import MAX_HEADER_BYTES, OpusHead, OpusTags
from audiocodec.ogg.page import CONTINUED, FIRST, LAST, NO_GRANULE, Page, read_page
from audiocodec.packet import MAX_PACKET_BYTES, packet_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    stream = _Stream(data)
    head, tags = _headers(stream)
    packets: list[bytes] = []
    total = last = end_granule = 0
    while not stream.ended:
        at = stream.at
        page, complete = stream.page(MAX_PACKET_BYTES)
        for packet in complete:
            try:
                last = packet_facts(packet).samples
            except BadPacketError as error:
                raise OggError(f"page at byte {at}: packet {len(packets)}: {error}") from error
            packets.append(packet)
            total += last
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


def read_ogg_headers(prefix: bytes) -> tuple[OpusHead, OpusTags]:
    """Head and tags from the first bytes of a file; OggError names the defect, also where they are too few."""
    return _headers(_Stream(prefix))


def _headers(stream: _Stream) -> tuple[OpusHead, OpusTags]:
    """The two header packets: the first page holds the first one alone, the second ends its page (RFC 7845 §3)."""
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


class _Stream:
    """Where the reader is in the file, and what of a packet it has from the pages before."""

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self.ended = False
        self._data = data
        self._serial: int | None = None
        self._sequence = 0
        self._parts: list[bytes] = []
        self._part_bytes = 0

    @property
    def unfinished(self) -> bool:
        """Whether the last page broke off in a packet."""
        return bool(self._parts)

    def page(self, max_packet_bytes: int) -> tuple[Page, list[bytes]]:
        """The next page, checked against the ones before, and the packets that end on it."""
        at = self.at
        if self.ended:
            raise OggError(f"stream: ends before byte {at}, before its headers do")
        page = read_page(self._data, at)
        if self._serial is None:
            self._serial = page.serial
        if bool(page.flags & FIRST) != (self._sequence == 0):
            raise OggError(f"page at byte {at}: first-page flag {'missing' if at == 0 else 'in mid-stream'}")
        if page.serial != self._serial:
            raise OggError(f"page at byte {at}: serial {page.serial:#x}, the stream has {self._serial:#x}")
        if page.sequence != self._sequence:
            raise OggError(f"page at byte {at}: number {page.sequence} instead of {self._sequence}")
        if bool(page.flags & CONTINUED) != self.unfinished:
            raise OggError(
                f"page at byte {at}: continued flag {'missing' if self.unfinished else 'without need'}"
            )
        packets = list(self._packets(page, at, max_packet_bytes))
        self._sequence += 1
        self.at = page.end
        if page.flags & LAST:
            self.ended = True
            if self.unfinished:
                raise OggError(f"page at byte {at}: the stream ends within a packet")
            if page.end != len(self._data):
                raise OggError(f"stream: {len(self._data) - page.end} bytes after its end")
        return page, packets

    def _packets(self, page: Page, at: int, max_packet_bytes: int) -> Iterator[bytes]:
        """The packets that end on this page; what is left of it is kept for the next one."""
        start = end = 0
        for segment in page.lacing:
            end += segment
            if self._part_bytes + end - start > max_packet_bytes:
                raise OggError(f"page at byte {at}: packet of more than {max_packet_bytes} bytes")
            if segment < 255:
                packet = page.body[start:end]
                if self._parts:
                    packet = b"".join((*self._parts, packet))
                    self._parts = []
                    self._part_bytes = 0
                yield packet
                start = end
        if start < end:
            self._parts.append(page.body[start:end])
            self._part_bytes += end - start
