"""Ogg pages taken apart and put together without asking whether they make sense; checksums come out right.

So a mutator gets past the checksum, and past whichever of numbering, granule positions and lacing it leaves alone.
"""

import struct
import zlib
from dataclasses import dataclass, replace
from random import Random

from tapedeck_fuzz import edits, opus_by_the_rfc
from tapedeck_fuzz.target import Raw

CONTINUED, FIRST, LAST = 1, 2, 4
_HEADER = struct.Struct("<4sBBqIIIB")
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Page:
    """One page as it lies there."""

    flags: int
    granule: int
    serial: int
    sequence: int
    lacing: bytes
    body: bytes
    version: int = 0


def split(data: bytes) -> list[Page]:
    """The pages that begin with OggS and have a whole header; bodies may be cut short."""
    pages = []
    at = 0
    while (at := data.find(b"OggS", at)) >= 0 and at + _HEADER.size <= len(data):
        _, version, flags, granule, serial, sequence, _, segments = _HEADER.unpack_from(data, at)
        body = at + _HEADER.size + segments
        lacing = data[at + _HEADER.size : body]
        end = body + sum(lacing)
        pages.append(Page(flags, granule, serial, sequence, lacing, data[body:end], version))
        at = max(end, at + 4)
    return pages


def join(pages: list[Page]) -> bytes:
    """The file of these pages, each with the checksum that it needs."""
    return b"".join(map(_bytes, pages))


def _bytes(page: Page) -> bytes:
    lacing = page.lacing[:255]
    head = _HEADER.pack(
        b"OggS", page.version & 0xFF, page.flags & 0xFF, _signed(page.granule), page.serial & 0xFFFF_FFFF,
        page.sequence & 0xFFFF_FFFF, 0, len(lacing),
    )  # fmt: skip
    whole = head + lacing + page.body
    mirrored = zlib.crc32(whole.translate(_MIRROR), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    crc = mirrored.to_bytes(4, "little").translate(_MIRROR)[::-1]
    return whole[:22] + crc + whole[26:]


def _signed(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63


def mended(data: bytes) -> bytes:
    """The file with right checksums and nothing else changed, as far as it is pages."""
    return join(split(data))


def in_order(pages: list[Page]) -> list[Page]:
    """Numbered from 0, of one serial, and with the first, last and continued flags where they belong."""
    out = []
    open_packet = False
    for number, page in enumerate(pages):
        flags = (CONTINUED if open_packet else 0) | (FIRST if number == 0 else 0)
        flags |= LAST if number == len(pages) - 1 else 0
        out.append(replace(page, flags=flags, serial=pages[0].serial, sequence=number))
        open_packet = bool(page.lacing) and page.lacing[-1] == 255
    return out


def timed(pages: list[Page]) -> list[Page]:
    """With the granule positions that the packets make, from the third page on; the last may be trimmed a little."""
    out = pages[:2]
    total = 0
    rest = b""
    for page in pages[2:]:
        ends = 0
        start = at = 0
        for segment in page.lacing:
            at += segment
            if segment < 255:
                packet = rest + page.body[start:at]
                rest, start = b"", at
                ends += 1
                if packet:
                    total += opus_by_the_rfc.frame_samples(packet[0]) * len(
                        opus_by_the_rfc.frame_sizes(packet) or ()
                    )
        rest += page.body[start:at]
        out.append(replace(page, granule=total if ends else -1))
    return out


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """One or two things about the pages changed; what follows from pages is then made right, more or less of it."""
    pages = split(data)
    if not pages:
        return raw(data)
    for _ in range(random.choice((1, 1, 2))):
        at = random.randrange(len(pages))
        changed = _page(pages[at], random, raw)
        pages[at : at + 1] = changed
        if random.randrange(6) == 0:
            pages = edits.items(pages, random) or pages
    repair = random.randrange(4)
    if repair >= 1:
        pages = in_order(pages)
    if repair >= 2:
        pages = timed(pages)
    return join(pages)


def _page(page: Page, random: Random, raw: Raw) -> list[Page]:  # noqa: PLR0911 - one for each kind of change
    match random.randrange(10):
        case 0:
            return [replace(page, flags=page.flags ^ 1 << random.randrange(8))]
        case 1:
            return [replace(page, granule=edits.number(page.granule, random))]
        case 2:
            return [replace(page, sequence=edits.number(page.sequence, random))]
        case 3:
            return [replace(page, serial=edits.number(page.serial, random))]
        case 4:
            return [replace(page, lacing=raw(page.lacing)[:255])]
        case 5:
            return _parted(page, random)
        case 6:
            return [replace(page, version=random.choice((0, 1, 255)))]
        case _:
            body = raw(page.body)
            return [_laced(page, body, random)]


def _laced(page: Page, body: bytes, random: Random) -> Page:
    """The page around another body, its last packets longer or shorter so that the lacing adds up."""
    lacing = bytearray(page.lacing)
    while lacing and sum(lacing) > len(body):
        lacing.pop()
    left = len(body) - sum(lacing)
    while left >= 0 and len(lacing) < 255:
        lacing.append(min(left, 255))
        left -= 255
        if lacing[-1] < 255 or (left == 0 and random.randrange(2)):
            break
    return replace(page, lacing=bytes(lacing), body=body[: sum(lacing)])


def _parted(page: Page, random: Random) -> list[Page]:
    """The page as two, cut between any two segments: also within a packet."""
    if len(page.lacing) < 2:
        return [page]
    segments = random.randrange(1, len(page.lacing))
    at = sum(page.lacing[:segments])
    first = replace(page, lacing=page.lacing[:segments], body=page.body[:at], flags=page.flags & ~LAST)
    second = replace(page, lacing=page.lacing[segments:], body=page.body[at:], flags=page.flags & ~FIRST)
    return [first, second]
