"""Pages of Ogg to be changed and written again, with their right checksums: what broken twins are made with."""

import struct
from dataclasses import dataclass, replace

from audiocodec.ogg.checksum import checksum
from audiocodec.ogg.page import read_page

_HEADER = struct.Struct("<4sBBqIIIB")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of Ogg, to be changed and written again."""

    flags: int
    granule: int
    serial: int
    sequence: int
    lacing: bytes
    body: bytes

    def encode(self) -> bytes:
        """The page with its right checksum."""
        head = _HEADER.pack(
            b"OggS", 0, self.flags, self.granule, self.serial, self.sequence, 0, len(self.lacing)
        )
        page = head + self.lacing + self.body
        return page[:22] + checksum(page).to_bytes(4, "little") + page[26:]

    @property
    def packets(self) -> list[bytes]:
        """The packets on it; all of them whole."""
        found, at, size = [], 0, 0
        for segment in self.lacing:
            size += segment
            if segment < 255:
                found.append(self.body[at : at + size])
                at, size = at + size, 0
        return found

    def with_packets(self, packets: list[bytes]) -> "Sheet":
        """The same page with others."""
        lacing = b"".join(b"\xff" * (len(one) // 255) + bytes([len(one) % 255]) for one in packets)
        return replace(self, lacing=lacing, body=b"".join(packets))


def sheets(data: bytes) -> list[Sheet]:
    """The pages of a file."""
    found, at = [], 0
    while at < len(data):
        page = read_page(data, at)
        found.append(Sheet(page.flags, page.granule, page.serial, page.sequence, page.lacing, page.body))
        at = page.end
    return found


def joined(pages: list[Sheet]) -> bytes:
    """The file of these pages."""
    return b"".join(page.encode() for page in pages)
