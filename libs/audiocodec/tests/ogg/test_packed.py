import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.errors import OggError
from audiocodec.ogg import (
    OggOpusWriter,
    OpusHead,
    OpusTags,
    PackedPackets,
    paged,
    read_ogg_headers,
    read_ogg_opus,
    read_ogg_packed,
)
from audiocodec.ogg.packed import PAGE_PACKETS
from audiocodec.ogg.page import LAST, PIECE_BYTES, laced_page, write_page
from audiocodec.packet import packet_durations

HEAD, TAGS = OpusHead(1, 312, 16_000), OpusTags("tapedeck")
TOC_20_MS, TOC_10_MS, TOC_40_MS, TOC_120_MS = 0x48, 0x40, 0x50, 0x03


def packet(size: int, toc: int = TOC_20_MS) -> bytes:
    return bytes((toc, *(at % 251 for at in range(size - 1))))


def file_of(packets, durations, trim=0) -> bytes:
    writer = OggOpusWriter(HEAD, TAGS, 7)
    return writer.start() + writer.packets(packets, durations) + writer.finish(trim)


sizes = st.lists(st.integers(1, 254), min_size=1, max_size=160)


@given(sizes, st.integers(0, 960))
def test_what_the_reader_gives(lengths, trim):
    packets = [packet(size) for size in lengths]
    data = file_of(packets, [960] * len(packets), trim if len(packets) > 1 else 0)
    whole, packed = read_ogg_opus(data), read_ogg_packed(data)
    assert packed is not None
    assert read_ogg_headers(packed.headers) == (whole.head, whole.tags)
    assert packed.end_granule == whole.end_granule
    assert packed.first(3) == tuple(packets[:3])
    part = packed.part(0, len(packets))
    assert part.parted() == tuple(packets)
    assert (part.samples, part.toc) == (960, TOC_20_MS)
    assert part.paged == paged((size, 960) for size in lengths)
    assert packed.part(1, 1) is None


def test_packets_of_two_durations():
    packets = [packet(9)] * 70 + [packet(8, TOC_10_MS)] * 30
    packed = read_ogg_packed(file_of(packets, [960] * 70 + [480] * 30))
    assert packed.part(60, 80) is None
    assert packed.part(70, 100) == PackedPackets(bytes([8] * 30), packets[-1] * 30, 480)


def test_more_than_is_wanted():
    data = file_of([packet(9)] * 100, [960] * 100)  # on two pages, with two segments in the headers
    assert read_ogg_packed(data, 102) is not None
    assert read_ogg_packed(data, 101) is None
    few = file_of([packet(9)] * 52, [960] * 52)  # on two pages as well
    assert read_ogg_packed(few, 4 * PAGE_PACKETS) is not None
    assert read_ogg_packed(few, 4 * PAGE_PACKETS - 1) is None


@pytest.mark.parametrize("odd", [packet(255), packet(300), bytes((TOC_120_MS, 6)) + bytes(6)])
def test_what_is_not_for_it(odd):
    samples = 2880 if odd[0] == TOC_120_MS else 960
    data = file_of([packet(9), odd, packet(9)], [960, samples, 960])
    assert len(read_ogg_opus(data).packets) == 3
    assert read_ogg_packed(data) is None


def test_damage_is_not_for_it():
    data = file_of([packet(60)] * 120, [960] * 120)
    assert read_ogg_packed(data) is not None
    for broken in (b"", data[:-1], data + b"\0", data[:90], data.replace(b"OpusTags", b"OpusTagz")):
        assert read_ogg_packed(broken) is None
    for at in range(0, len(data), 97):
        assert read_ogg_packed(data[:at] + bytes((data[at] ^ 4,)) + data[at + 1 :]) is None
    writer = OggOpusWriter(HEAD, TAGS, 7)
    told_wrong = writer.start() + writer.packets([packet(9)] * 120, [480] * 120) + writer.finish()
    assert read_ogg_packed(told_wrong) is None


@given(sizes, sizes, st.booleans(), st.sampled_from([(TOC_20_MS, 960), (TOC_10_MS, 480)]))
def test_the_writer_makes_the_same_pages(before, lengths, breaks, kind):
    toc, samples = kind
    first, packets = [packet(size) for size in before], [packet(size, toc) for size in lengths]
    packed = PackedPackets(bytes(lengths), b"".join(packets), samples)

    def written(how):
        writer = OggOpusWriter(HEAD, TAGS, 7)
        data = writer.start() + writer.packets(first, [960] * len(first))
        for _ in range(2):
            if breaks:
                writer.break_page()
            data += how(writer)
        return data + writer.packets(first, [960] * len(first)) + writer.finish(120)

    assert written(lambda writer: b"".join(writer.packed(packed))) == written(
        lambda writer: writer.packets(packets, [samples] * len(packets))
    )


@pytest.mark.parametrize("size", [1, 254])
@pytest.mark.parametrize("before", [0, 1, 50])
def test_it_makes_them_in_pieces_of_whole_pages(before, size):
    packets = [packet(size)] * 2_000
    packed = PackedPackets(bytes([size]) * len(packets), b"".join(packets), 960)
    made = []
    for how in (OggOpusWriter.packed, lambda writer, _: [writer.packets(packets, [960] * len(packets))]):
        writer = OggOpusWriter(HEAD, TAGS, 7)
        writer.start()
        writer.packets([packet(9)] * before, [960] * before)
        writer.break_page()
        made.append(how(writer, packed))
    pieces, [whole] = made
    assert b"".join(pieces) == whole
    assert all(piece[:4] == b"OggS" and 0 < len(piece) <= PIECE_BYTES for piece in pieces)
    assert len(pieces) == (8 if size == 254 else 1)


def test_what_fills_no_page_makes_none():
    writer = OggOpusWriter(HEAD, TAGS, 7)
    writer.start()
    assert writer.packed(PackedPackets(bytes([9]), packet(9), 960)) == []


DURATIONS = {TOC_10_MS: 480, TOC_20_MS: 960, TOC_20_MS | 4: 960, TOC_40_MS: 1920, TOC_20_MS | 1: 1920}
"""At 48 kHz, of packets that begin so: of one frame, but for the last one, which has two of one size."""


def spoilt(page: bytes, what: str, draw) -> bytes:
    """The page with one thing in it changed, its checksum right but for the last two."""
    flags, granule, serial, number = struct.unpack_from("<xxxxxBqII", page)
    lacing, body = page[27 : 27 + page[26]], page[27 + page[26] :]
    match what:
        case "flags":
            flags ^= draw(st.sampled_from([1, 2, 4, 8]))
        case "granule":
            granule += draw(st.sampled_from([-960, -1, 1, 960]))
        case "serial":
            serial += 1
        case "number":
            number += 1
        case "lacing":
            lacing += b"\0"
        case "cut":
            return page[: draw(st.integers(0, len(page) - 1))]
        case "checksum":
            at = draw(st.integers(0, len(page) - 1))
            return page[:at] + bytes((page[at] ^ 1,)) + page[at + 1 :]
    return laced_page(flags, granule, serial, number, lacing, body)


@st.composite
def files(draw) -> bytes:
    """Streams of packets of one kind or of several, on any pages; one of these may be spoilt."""
    kinds = draw(st.sampled_from([[TOC_20_MS], [TOC_20_MS, TOC_20_MS | 4], [*DURATIONS]]))
    one = st.tuples(st.sampled_from(kinds), st.sampled_from([3, 9, 253, 255, 511]), st.booleans())
    pages, group, granule = [OggOpusWriter(OpusHead(1, 0, 16_000), TAGS, 7).start()], [], 0
    many = draw(st.lists(one, min_size=1, max_size=12))
    for number, (toc, size, ends) in enumerate(many, 1):
        group.append(packet(size, toc))
        granule += DURATIONS[toc]
        if number == len(many):
            granule -= draw(st.sampled_from([0, 0, 100, 480, 961]))
        if ends or number == len(many):
            flags = LAST if number == len(many) else 0
            pages.append(write_page(flags, granule, 7, len(pages) + 1, group))
            group = []
    if (at := draw(st.integers(1, 2 * len(pages)))) < len(pages):
        kinds_of = ["flags", "granule", "serial", "number", "lacing", "cut", "checksum"]
        pages[at] = spoilt(pages[at], draw(st.sampled_from(kinds_of)), draw)
    return b"".join(pages)


@settings(max_examples=400)
@given(files())
def test_it_never_gives_anything_else_than_the_reader(data):
    """Nor does it where it saw the file before."""
    try:
        whole = read_ogg_opus(data)
    except OggError:
        whole = None
    for _ in range(2):
        packed = read_ogg_packed(data)
        if whole is None:
            assert packed is None
        elif packed is None:
            assert any(len(one) > 254 or one[0] & 3 for one in whole.packets)
        else:
            assert packed.first(len(packed.sizes)) == tuple(whole.packets)
            assert packed.end_granule == whole.end_granule
            assert packed.tocs == bytes(one[0] for one in whole.packets)
            durations = set(packet_durations(whole.packets))
            part = packed.part(0, len(whole.packets))
            assert (part.samples if part else 0) == (durations.pop() if len(durations) == 1 else 0)


def test_what_it_saw_before_is_told_from_what_looks_like_it():
    """Packets of the same sizes on pages that end at the same time, of one duration and of several."""
    alike = [packet(9)] * 100
    mixed = ([packet(9, TOC_10_MS)] * 2 + [packet(9, TOC_40_MS)] + [packet(9)] * 47) * 2
    for packets in (alike, mixed, alike, mixed):
        pages = [write_page(0, 48_000, 7, 2, packets[:50]), write_page(LAST, 96_000, 7, 3, packets[50:])]
        packed = read_ogg_packed(b"".join((OggOpusWriter(HEAD, TAGS, 7).start(), *pages)))
        assert packed.tocs == bytes(one[0] for one in packets)
        assert (packed.part(0, 100) is None) == (packets is mixed)
        assert packed.part(3, 50).toc == TOC_20_MS
