"""The Opus blob, whole and broken."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec import Decoder, Encoder
from audiostore.errors import LegacyFormatError
from audiostore.legacy.blob import MAX_PACKETS, MAX_PCM_BYTES, read_blob, told_pcm_bytes

FRAME = 640  # bytes of PCM in 20 ms


def test_a_blob_is_its_packets_cut_to_its_pcm(blob, packets):
    decoder = Decoder(16_000, 1)
    whole = b"".join(decoder.decode(packet) for packet in packets)
    for pcm_bytes in (10 * FRAME, 9 * FRAME + 2, 3 * FRAME, 2):
        read = read_blob(blob(packets, pcm_bytes))
        assert read.packets == packets
        assert read.pcm() == whole[:pcm_bytes]
        assert told_pcm_bytes(blob(packets, pcm_bytes)) == pcm_bytes


def test_an_odd_trailing_byte_is_dropped(blob, packets):
    assert len(read_blob(blob(packets, 9 * FRAME + 1)).pcm()) == 9 * FRAME


def test_bytes_behind_the_last_packet_are_ignored(blob, packets):
    assert read_blob(blob(packets, 10 * FRAME) + b"more") == read_blob(blob(packets, 10 * FRAME))


def test_packets_of_any_duration_are_taken_as_they_say(blob, packets):
    sixty_ms = bytes((packets[0][0] & 0b11 | 0x58,)) + packets[0][1:]
    assert len(read_blob(blob((sixty_ms, packets[1]), 4 * FRAME)).pcm()) == 4 * FRAME
    stereo = Encoder(16_000, 2, complexity=0).encode(bytes(2 * FRAME))
    assert len(read_blob(blob(stereo, FRAME)).pcm()) == FRAME


def test_a_blob_may_be_empty(blob):
    assert read_blob(blob((), 0)).pcm() == b""


def test_cut_short_at_every_byte_is_refused(blob, packets):
    data = blob(packets, 10 * FRAME)
    for size in range(len(data)):
        with pytest.raises(LegacyFormatError, match="Opus blob: "):
            read_blob(data[:size])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it ends within its header: 0 of 8 bytes"),
        (b"\1\0\0", "it ends within its header: 3 of 8 bytes"),
        (struct.pack("<II", 1, 640), "its header says 1 packets, which 0 bytes cannot hold"),
        (struct.pack("<II", 3, 640) + bytes(8), "its header says 3 packets, which 8 bytes cannot hold"),
        (struct.pack("<II", MAX_PACKETS + 1, 640), "its header says 131073 packets; 131072 are possible"),
        (struct.pack("<II", 0xFFFF_FFFF, 0), "its header says 4294967295 packets; 131072 are possible"),
        (struct.pack("<II", 0, MAX_PCM_BYTES + 1), "its header says 67108865 bytes of PCM; 67108864 are possible"),
        (struct.pack("<II", 0, 2), "its header says 2 bytes of PCM, its 0 packets decode to 0"),
        (struct.pack("<IIHB", 1, 642, 1, 0x48), "its header says 642 bytes of PCM, its 1 packets decode to 640"),
        (struct.pack("<IIHB", 1, 640, 2, 0x48), "packet 0 of 1 is cut short: 1 of 2 bytes"),
        (struct.pack("<IIHBB", 1, 640, 0xFFFF, 0x48, 0), "packet 0 of 1 is cut short: 2 of 65535 bytes"),
        (struct.pack("<IIHBBB", 2, 640, 3, 0x48, 0, 0) + b"\1", "it ends at packet 1 of 2, within its length"),
        (struct.pack("<IIHB", 1, 640, 0, 0), "packet 0 of 1: Opus packet of 0 bytes"),
        (struct.pack("<IIHBB", 1, 640, 2, 0x4B, 0), "packet 0 of 1: Opus packet of 2 bytes, TOC 0x4b: bad framing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(data, said):
    with pytest.raises(LegacyFormatError) as caught:
        read_blob(data)
    assert str(caught.value).startswith(f"Opus blob: {said}")


def test_a_header_that_lies_costs_no_memory():
    tracemalloc.start()
    try:
        for count, pcm_bytes in (
            (MAX_PACKETS, MAX_PCM_BYTES),
            (0xFFFF_FFFF, 0xFFFF_FFFF),
            (5, MAX_PCM_BYTES),
        ):
            with pytest.raises(LegacyFormatError):
                read_blob(struct.pack("<II", count, pcm_bytes) + bytes(20))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_of_a_broken_blob_the_header_still_tells_what_can_be_true(blob, packets):
    data = blob(packets, 10 * FRAME)
    assert told_pcm_bytes(data[:-1]) == 10 * FRAME
    assert told_pcm_bytes(blob(packets, 100 * FRAME)) == 0
    assert told_pcm_bytes(data[:7]) == 0


@given(st.binary(max_size=200), st.integers(0, 12), st.integers(0, 5_000))
def test_any_bytes_are_a_blob_or_refused_in_our_own_words(rest, count, pcm_bytes):
    data = struct.pack("<II", count, pcm_bytes) + rest
    try:
        read = read_blob(data)
    except LegacyFormatError:
        return
    assert len(read.pcm()) == read.pcm_bytes == pcm_bytes // 2 * 2
