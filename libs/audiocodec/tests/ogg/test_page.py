import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec.errors import OggError
from audiocodec.ogg.page import CONTINUED, FIRST, LAST, checksum, read_page, write_page


def slow_checksum(data: bytes) -> int:
    """RFC 3533's CRC, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


@given(st.binary(max_size=300))
def test_checksum(data):
    assert checksum(data) == slow_checksum(data)


@pytest.mark.parametrize("name", ["opusenc.opus", "ffmpeg.opus"])
def test_checksums_of_other_writers_are_right(samples_folder, name):
    data = (samples_folder / name).read_bytes()
    at = pages = 0
    while at < len(data):
        at = read_page(data, at).end
        pages += 1
    assert pages >= 3


@given(
    st.integers(0, 7),
    st.integers(-1, 1 << 62),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.lists(st.sampled_from([0, 1, 254, 255, 256, 509, 510, 511]).map(bytes), max_size=60),
)
def test_what_was_written_is_read(flags, granule, serial, sequence, packets):
    data = write_page(flags, granule, serial, sequence, packets)
    page = read_page(b"before" + data + b"after", 6)
    assert (page.flags, page.granule, page.serial, page.sequence) == (flags, granule, serial, sequence)
    assert page.body == b"".join(packets)
    assert len(page.lacing) == sum(len(packet) // 255 + 1 for packet in packets)
    assert page.end == 6 + len(data)


def test_lacing():
    page = read_page(write_page(0, 0, 0, 0, [bytes(10), bytes(255), bytes(600), b""]), 0)
    assert list(page.lacing) == [10, 255, 0, 255, 255, 90, 0]


def test_a_page_holds_255_segments():
    assert len(read_page(write_page(0, 0, 0, 0, [b"x"] * 255), 0).lacing) == 255
    with pytest.raises(OggError, match="256 segments"):
        write_page(0, 0, 0, 0, [b"x"] * 256)


GOOD = write_page(FIRST | LAST, 48_000, 7, 0, [b"abc", bytes(300)])


@given(st.integers(0, len(GOOD) - 1))
def test_a_page_cut_short(size):
    with pytest.raises(OggError, match=r"page at byte 0: (header )?cut short"):
        read_page(GOOD[:size], 0)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(at, change):
    damaged = GOOD[:at] + bytes((GOOD[at] ^ change,)) + GOOD[at + 1 :]
    with pytest.raises(OggError, match="page at byte 0"):
        read_page(damaged, 0)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_page_or_refused(data, magic):
    with pytest.raises(OggError, match="page at byte 0"):
        read_page((b"OggS\0" if magic else b"") + data, 0)


def test_unknown_flags_and_versions():
    with pytest.raises(OggError, match="unknown flags"):
        read_page(write_page(CONTINUED | 8, 0, 0, 0, []), 0)
    with pytest.raises(OggError, match="version 1"):
        read_page(b"OggS\x01" + GOOD[5:], 0)
