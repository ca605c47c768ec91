import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.errors import OggError
from audiocodec.ogg import OggOpus, OpusHead, OpusTags, read_ogg_headers, read_ogg_opus
from audiocodec.ogg import reader as reader_module
from audiocodec.ogg.page import CONTINUED, FIRST, LAST, NO_GRANULE, checksum, read_page, write_page
from audiocodec.silence import silent_packets

HEAD = OpusHead(1, 312, 16_000)
TAGS = OpusTags("tapedeck", [("TAPEDECK_VERSION", "1")])
SILENCE = silent_packets(960, 1)[0]

FIRST_PAGE = (FIRST, 0, [HEAD.encode()])
TAGS_PAGE = (0, 0, [TAGS.encode()])


def pages(*parts, serial=7):
    """A file of pages given as (flags, granule, packets), numbered from 0."""
    return b"".join(
        write_page(flags, granule, serial, number, body)
        for number, (flags, granule, body) in enumerate(parts)
    )


def laced(flags, granule, sequence, lacing, body, serial=7):
    """A page whose lacing is given, for packets that go on on the next page."""
    page = write_page(flags, granule, serial, sequence, [])
    page = page[:22] + b"\0\0\0\0" + bytes((len(lacing),)) + bytes(lacing) + body
    return page[:22] + checksum(page).to_bytes(4, "little") + page[26:]


def mended(data: bytes) -> bytes:
    """The bytes with the checksum of every page that can be found made right, so that damage reaches further in."""
    out, at = bytearray(data), 0
    while (at := out.find(b"OggS", at)) >= 0 and at + 27 <= len(out):
        body = at + 27 + out[at + 26]
        end = body + sum(out[at + 27 : body])
        out[at + 22 : at + 26] = b"\0\0\0\0"
        out[at + 22 : at + 26] = checksum(bytes(out[at:end])).to_bytes(4, "little")
        at = max(end, at + 1)
    return bytes(out)


def test_golden(golden):
    file = read_ogg_opus(golden)
    assert file.head == OpusHead(1, 312, 16_000)
    assert file.tags == OpusTags("tapedeck", [("TAPEDECK_VERSION", "1"), ("TITLE", "Grüße")])
    assert len(file.packets) == 102
    assert file.end_granule - file.head.pre_skip == 32_250 * 3


@pytest.mark.parametrize(("name", "packets"), [("opusenc.opus", 38), ("ffmpeg.opus", 76)])
def test_files_of_other_writers(samples_folder, name, packets):
    data = (samples_folder / name).read_bytes()
    file = read_ogg_opus(data)
    assert (len(file.packets), file.end_granule) == (packets, 72_312)
    assert read_ogg_headers(data) == (file.head, file.tags)


def test_headers_need_only_the_beginning(golden):
    end = read_page(golden, read_page(golden, 0).end).end
    assert read_ogg_headers(golden[:end]) == read_ogg_headers(golden)
    with pytest.raises(OggError, match="cut short"):
        read_ogg_headers(golden[: end - 1])


def test_packets_over_several_pages():
    tags = OpusTags("v", [("A", "b" * 1000)])
    raw = tags.encode()
    packet = b"\xfb\x41\xff\xff\x02" + b"x" + bytes(510)  # 516 bytes
    data = b"".join(
        [
            pages(FIRST_PAGE),
            laced(0, NO_GRANULE, 1, [255, 255], raw[:510]),
            laced(CONTINUED, 0, 2, [255, 255, len(raw) - 1020], raw[510:]),
            laced(0, 960, 3, [3, 255], SILENCE + packet[:255]),
            laced(CONTINUED, NO_GRANULE, 4, [255], packet[255:510]),
            laced(CONTINUED | LAST, 2880, 5, [6, 3], packet[510:] + SILENCE),
        ]
    )
    assert read_ogg_opus(data) == OggOpus(HEAD, tags, [SILENCE, packet, SILENCE], 2880)


GOOD = pages(FIRST_PAGE, TAGS_PAGE, (0, 1920, [SILENCE] * 2), (LAST, 2800, [SILENCE]))


def test_the_good_twin():
    assert read_ogg_opus(GOOD) == OggOpus(HEAD, TAGS, [SILENCE] * 3, 2800)


AUDIO = (LAST, 960, [SILENCE])
BROKEN = {
    "no OggS": b"RIFF" + bytes(100),
    "header cut short": b"",
    "bytes after its end": GOOD + b"x",
    "cut short": GOOD[:-1],
    "first-page flag missing": pages((0, 0, [HEAD.encode()]), TAGS_PAGE, AUDIO),
    "first-page flag in mid-stream": pages(FIRST_PAGE, TAGS_PAGE, (FIRST | LAST, 960, [SILENCE])),
    "serial 0x8": pages(FIRST_PAGE, TAGS_PAGE) + write_page(LAST, 960, 8, 2, [SILENCE]),
    "number 3 instead of 2": pages(FIRST_PAGE, TAGS_PAGE) + write_page(LAST, 960, 7, 3, [SILENCE]),
    "must hold OpusHead and nothing else": pages((FIRST, 0, [HEAD.encode(), TAGS.encode()]), AUDIO),
    "the first packet is something else": pages((FIRST, 0, [b"\x7fFLAC".ljust(19)]), TAGS_PAGE, AUDIO),
    "the second packet is something else": pages(FIRST_PAGE, (0, 0, [b"tags"]), AUDIO),
    "must end its page": pages(FIRST_PAGE, (0, 0, [TAGS.encode(), SILENCE]), AUDIO),
    "on a header page": pages(FIRST_PAGE, (0, 5, [TAGS.encode()]), AUDIO),
    "before its headers do": pages((FIRST | LAST, 0, [HEAD.encode()])),
    "no audio packet": pages(FIRST_PAGE, (LAST, 0, [TAGS.encode()])),
    "packet 0: Opus packet of 0 bytes": pages(FIRST_PAGE, TAGS_PAGE, (LAST, 960, [b""])),
    "packet 1: Opus packet of 4 bytes": pages(FIRST_PAGE, TAGS_PAGE, (LAST, 1920, [SILENCE, b"\x09abc"])),
    "granule position 961, the packets make 960": pages(FIRST_PAGE, TAGS_PAGE, (LAST, 961, [SILENCE])),
    "granule position 959, the packets make 960": pages(FIRST_PAGE, TAGS_PAGE, (0, 959, [SILENCE]), AUDIO),
    "granule position 959, the packets make 1920": pages(FIRST_PAGE, TAGS_PAGE, (LAST, 959, [SILENCE] * 2)),
    "but no packet ends there": pages(FIRST_PAGE, TAGS_PAGE, (0, 0, []), AUDIO),
    "less than the pre-skip": pages(FIRST_PAGE, TAGS_PAGE, (LAST, 311, [SILENCE])),
    "the stream ends within a packet": pages(FIRST_PAGE, TAGS_PAGE)
    + laced(LAST, NO_GRANULE, 2, [255], bytes(255)),
    "continued flag missing": pages(FIRST_PAGE, TAGS_PAGE)
    + laced(0, NO_GRANULE, 2, [255], bytes(255))
    + laced(LAST, 960, 3, [1], b"x"),
    "continued flag without need": pages(FIRST_PAGE, TAGS_PAGE, (CONTINUED | LAST, 960, [SILENCE])),
    "packet of more than 61440 bytes": pages(FIRST_PAGE, TAGS_PAGE)
    + laced(0, NO_GRANULE, 2, [255] * 241, bytes(241 * 255)),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_broken_twins(defect):
    with pytest.raises(OggError, match=defect):
        read_ogg_opus(BROKEN[defect])


def test_a_packet_without_end_is_refused_before_it_is_put_together():
    endless = [pages(FIRST_PAGE)]
    endless += [
        laced(CONTINUED if n else 0, NO_GRANULE, 1 + n, [255] * 255, bytes(255 * 255)) for n in range(3)
    ]
    with pytest.raises(OggError, match="page at byte 47: packet of more than 61440 bytes"):
        read_ogg_opus(b"".join(endless))


def test_a_file_that_is_too_large(monkeypatch):
    monkeypatch.setattr(reader_module, "MAX_FILE_BYTES", len(GOOD) - 1)
    with pytest.raises(OggError, match=f"file of {len(GOOD)} bytes"):
        read_ogg_opus(GOOD)


def read_or_refuse(data):
    for read in (read_ogg_opus, read_ogg_headers):
        try:
            read(data)
        except OggError:
            continue


@given(st.binary(max_size=300), st.sampled_from([b"", b"OggS", GOOD[:47], GOOD[:120]]))
def test_any_bytes_are_a_stream_or_refused(data, prefix):
    read_or_refuse(prefix + data)
    read_or_refuse(mended(prefix + data))


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(golden, data):
    """Bytes changed, cut out and doubled, with checksums made right again, reach every check behind them."""
    damaged = bytearray(data.draw(st.sampled_from([GOOD, golden])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1) | st.integers(0, 200))
        end = at + data.draw(st.integers(0, 40))
        damaged[at:end] = data.draw(
            st.sampled_from([b"", bytes(damaged[at:end]) * 2]) | st.binary(max_size=4)
        )
        if not damaged:
            break
    read_or_refuse(bytes(damaged))
    read_or_refuse(mended(bytes(damaged)))


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(at, change):
    with pytest.raises(OggError):
        read_ogg_opus(GOOD[:at] + bytes((GOOD[at] ^ change,)) + GOOD[at + 1 :])
