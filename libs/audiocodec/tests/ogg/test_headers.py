import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec.errors import OggError
from audiocodec.ogg.headers import MAX_COMMENTS, MAX_HEADER_BYTES, OpusHead, OpusTags

HEAD = OpusHead(1, 312, 16_000)
NAMES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7D, exclude_characters="="), min_size=1, max_size=20
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def test_golden_head():
    assert HEAD.encode().hex() == "4f7075734865616401013801803e0000000000"


@given(st.sampled_from([1, 2]), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_heads_come_back(channels, pre_skip, rate):
    head = OpusHead(channels, pre_skip, rate)
    assert OpusHead.parse(head.encode()) == head


@pytest.mark.parametrize(
    ("at", "value", "defect"),
    [
        (0, 0x6F, "something else"),
        (8, 2, "version 2"),
        (9, 0, "0 channels"),
        (9, 3, "3 channels"),
        (16, 1, "gain 1"),
        (18, 1, "mapping family 1"),
    ],
)
def test_broken_heads(at, value, defect):
    packet = bytearray(HEAD.encode())
    packet[at] = value
    with pytest.raises(OggError, match=f"OpusHead: .*{defect}"):
        OpusHead.parse(bytes(packet))


@pytest.mark.parametrize("size", [0, 8, 18, 20])
def test_heads_of_a_wrong_length(size):
    with pytest.raises(OggError, match=f"OpusHead: {size} bytes"):
        OpusHead.parse((HEAD.encode() + b"\0")[:size])


@pytest.mark.parametrize(
    "fields", [(0, 0, 0), (3, 0, 0), (1, -1, 0), (1, 65_536, 0), (1, 0, -1), (1, 0, 1 << 32)]
)
def test_fields_out_of_range(fields):
    with pytest.raises(OggError, match="OpusHead"):
        OpusHead(*fields)


def test_golden_tags():
    tags = OpusTags("ab", [("A", "ü")])
    assert tags.encode() == b"OpusTags\x02\0\0\0ab\x01\0\0\0\x04\0\0\0A=\xc3\xbc"


@given(TEXTS, st.lists(st.tuples(NAMES, TEXTS), max_size=10))
def test_tags_come_back(vendor, comments):
    tags = OpusTags(vendor, comments)
    assert OpusTags.parse(tags.encode()) == tags


def test_names_are_found_without_case():
    tags = OpusTags("v", [("Title", "a"), ("TITLE", "b"), ("X", "=c=")])
    assert (tags.get("title"), tags.get("x"), tags.get("y")) == ("a", "=c=", None)


def test_padding_after_the_comments_is_ignored():
    tags = OpusTags("v", [("A", "b")])
    assert OpusTags.parse(tags.encode() + bytes(500)) == tags


def raw_tags(vendor: bytes, count: int, *comments: bytes) -> bytes:
    parts = [b"OpusTags", struct.pack("<I", len(vendor)), vendor, struct.pack("<I", count)]
    for comment in comments:
        parts += [struct.pack("<I", len(comment)), comment]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("packet", "defect"),
    [
        (b"", "something else"),
        (b"OpusTagz" + bytes(8), "something else"),
        (b"OpusTags\1\0\0", "length of vendor cut short"),
        (b"OpusTags\xff\xff\xff\xff", "vendor cut short"),
        (b"OpusTags\0\0\0\0\1\0", "number of comments cut short"),
        (raw_tags(b"v", 0xFFFFFFFF), "4294967295 comments"),
        (raw_tags(b"v", 1), "length of comment 0 cut short"),
        (raw_tags(b"v", 2, b"A=b"), "length of comment 1 cut short"),
        (raw_tags(b"v", 1, b"A=b")[:-1], "comment 0 cut short"),
        (raw_tags(b"\xff", 0), "vendor is no UTF-8"),
        (raw_tags(b"v", 1, b"A=\xff"), "comment 0 is no UTF-8"),
        (raw_tags(b"v", 1, b"AB"), "comment 0 has no ="),
        (raw_tags(b"v", 1, b"=b"), "no name"),
        (raw_tags(b"v", 1, "Ü=b".encode()), "no name"),
        (raw_tags(b"v", 0) + bytes(MAX_HEADER_BYTES), f"{MAX_HEADER_BYTES} are possible"),
    ],
)
def test_broken_tags(packet, defect):
    with pytest.raises(OggError, match=f"OpusTags: .*{defect}"):
        OpusTags.parse(packet)


@pytest.mark.parametrize(
    "tags",
    [
        OpusTags("v", [("A=B", "c")]),
        OpusTags("v", [("", "c")]),
        OpusTags("v", [("A\n", "c")]),
        OpusTags("v", [("A", "b")] * (MAX_COMMENTS + 1)),
        OpusTags("v", [("A", "b" * MAX_HEADER_BYTES)]),
        OpusTags("v", [("A", "\ud800")]),
    ],
)
def test_tags_that_cannot_be_written(tags):
    with pytest.raises(OggError, match="OpusTags"):
        tags.encode()


@given(st.binary(max_size=120), st.sampled_from([b"", b"OpusTags", b"OpusHead\x01"]))
def test_any_bytes_are_headers_or_refused(data, magic):
    for parse in (OpusHead.parse, OpusTags.parse):
        try:
            parse(magic + data)
        except OggError:
            continue
