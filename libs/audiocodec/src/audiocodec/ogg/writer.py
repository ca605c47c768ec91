"""Writes an Ogg Opus stream page by page, as its packets come.

Owns pages, granule positions and the end of the stream. Looks into no packet: durations are told.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal, Self

from audiocodec.errors import OggError
from audiocodec.ogg.page import FIRST, LAST, MAX_SEGMENTS, equal_pages, write_page
from audiocodec.packet import MAX_PACKET_BYTES, MAX_PACKET_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audiocodec.ogg.headers import OpusHead, OpusTags
    from audiocodec.ogg.packed import PackedPackets

PAGE_SAMPLES = 48_000
"""A page holds at most one second (RFC 7845 §6)."""


class OggOpusWriter:
    """One stream: `start` once, `packet` for each packet, `finish` once; what they return, joined, is the file.

    At most one page is kept back: the last one must be known to be the last. OggError where the order is wrong.
    """

    def __init__(self, head: OpusHead, tags: OpusTags, serial: int) -> None:
        """`serial` tells the stream from others in one file: any 32-bit number. OggError: it is none."""
        if not 0 <= serial <= 0xFFFF_FFFF:
            raise OggError(f"serial {serial}: 0 to {0xFFFF_FFFF} are possible")
        self._head = head
        self._tags = tags
        self._serial = serial
        self._sequence = 0
        self._state: Literal["new", "open", "finished"] = "new"
        self._packets: list[bytes] = []
        self._segments = 0
        self._page_samples = 0
        self._last_samples = 0
        self._granule = 0
        self._breaks = False

    @classmethod
    def resumed(cls, head: OpusHead, tags: OpusTags, serial: int, sequence: int, granule: int) -> Self:
        """Goes on in the middle of such a stream: after `sequence` pages, whose packets end at `granule`. It has no `start`."""
        writer = cls(head, tags, serial)
        writer._sequence, writer._granule, writer._state = sequence, granule, "open"
        return writer

    def start(self) -> bytes:
        """The header pages. OggError: the tags break a limit."""
        self._expect("new")
        tags = self._tags.encode()
        self._state = "open"
        return self._page(FIRST, 0, [self._head.encode()]) + self._page(0, 0, [tags])

    def packet(self, data: bytes, samples: int) -> bytes:
        """Takes a packet that lasts `samples` at 48 kHz; gives the page before it where that is full, else b"".

        OggError: an empty or too long packet, or no possible duration.
        """
        return self.packets((data,), (samples,))

    def break_page(self) -> None:
        """The packet that comes next begins a page. So its page and those after it do not depend on what comes before them."""
        self._breaks = True

    def packets(self, packets: Sequence[bytes], durations: Sequence[int]) -> bytes:
        """Takes packets and how long each is, in samples at 48 kHz, as one by one; gives the pages that are full.

        OggError: one that is empty or too long, or has no possible duration. The stream is of no use after that.
        """
        self._expect("open")
        pages = []
        kept, segments, page_samples = self._packets, self._segments, self._page_samples
        samples = self._last_samples
        for data, samples in zip(packets, durations, strict=True):
            size = len(data)
            if not (0 < size <= MAX_PACKET_BYTES and 0 < samples <= MAX_PACKET_SAMPLES):
                raise OggError(
                    f"packet of {size} bytes and {samples} samples: 1 to {MAX_PACKET_BYTES} and "
                    f"1 to {MAX_PACKET_SAMPLES} are possible"
                )
            page_samples += samples
            segments += size // 255 + 1
            if self._breaks or page_samples > PAGE_SAMPLES or segments > MAX_SEGMENTS:
                self._breaks = False
                if kept:
                    self._granule += page_samples - samples
                    pages.append(self._page(0, self._granule, kept))
                kept, segments, page_samples = [], size // 255 + 1, samples
            kept.append(data)
        self._packets, self._segments, self._page_samples = kept, segments, page_samples
        self._last_samples = samples
        return b"".join(pages)

    def packed(self, packets: PackedPackets) -> list[bytes]:
        """Takes packets, at least one, as one by one; gives the pages that are full, in pieces as of `equal_pages`. Cheap where the first one begins a page."""
        self._expect("open")
        if self._packets and not self._breaks:
            pages = self.packets(packets.parted(), [packets.samples] * len(packets))
            return [pages] if pages else []
        self._breaks = False
        before = b""
        if self._packets:
            self._granule += self._page_samples
            before = self._page(0, self._granule, self._packets)
        whole, count = packets.last_page, packets.page_packets
        sizes, samples = packets.sizes[:whole], count * packets.samples
        pieces = equal_pages(
            before, self._granule, self._serial, self._sequence, sizes, packets.data, count, samples
        )
        self._sequence += whole // count
        self._granule += whole * packets.samples
        # It is kept: it may be the stream's last.
        rest = packets.sizes[whole:]
        places = accumulate(rest, initial=len(packets.data) - sum(rest))
        self._packets = [bytes(packets.data[at:end]) for at, end in pairwise(places)]
        self._segments = len(self._packets)
        self._page_samples, self._last_samples = self._segments * packets.samples, packets.samples
        return pieces

    def finish(self, trim: int = 0) -> bytes:
        """The last page, whose granule position drops `trim` samples at the end.

        OggError: no packet was written, `trim` is more than the last packet, or nothing is left to play after
        pre-skip (RFC 7845 §4.5 wants every stream at least as long as that).
        """
        self._expect("open")
        if not self._packets:
            raise OggError("a stream without packets has no end")
        if not 0 <= trim <= self._last_samples:
            raise OggError(
                f"trim of {trim} samples: 0 to {self._last_samples}, the last packet, are possible"
            )
        end = self._granule + self._page_samples - trim
        if end < self._head.pre_skip:
            raise OggError(f"a stream of {end} samples is shorter than its pre-skip of {self._head.pre_skip}")
        self._state = "finished"
        return self._page(LAST, end, self._packets)

    def _page(self, flags: int, granule: int, packets: list[bytes]) -> bytes:
        page = write_page(flags, granule, self._serial, self._sequence, packets)
        self._sequence += 1
        return page

    def _expect(self, state: str) -> None:
        if self._state != state:
            raise OggError(f"the stream is {self._state}, not {state}")
