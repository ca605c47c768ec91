"""Peaks of PCM: whatever it is cut into, they join to those of the whole."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audiocodec.peaks import BLOCK_FRAMES, PeakRow, block_peaks


def noise(frames: int, channels: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, (frames, channels)).astype("<i2")


def plainly(samples: np.ndarray, first_frame: int, size: int) -> list[int]:
    """Peaks of each `size` frames, sample by sample."""
    found = []
    at = 0
    while at < len(samples):
        end = at + size - (first_frame + at) % size
        for channel in range(samples.shape[1]):
            piece = [int(int(one) / 256) for one in samples[at:end, channel]]
            found += [min(piece), max(piece)]
        at = end
    return found


@given(st.integers(1, 3000), st.sampled_from([1, 2]), st.integers(0, 10**9))
def test_peaks_are_the_smallest_and_the_largest_of_each_block(frames, channels, first_frame):
    samples = noise(frames, channels)
    peaks = block_peaks(samples.tobytes(), channels, first_frame)
    assert list(np.frombuffer(peaks, np.int8)) == plainly(samples, first_frame, BLOCK_FRAMES)


@given(
    st.lists(st.integers(0, 900), min_size=1, max_size=8),
    st.sampled_from([1, 2]),
    st.integers(0, 2000),
    st.sampled_from([1, 2, 5]),
    st.randoms(),
)
def test_pieces_join_to_the_whole_in_any_order(lengths, channels, first_frame, each, random):
    samples = noise(sum(lengths), channels)
    first_block = first_frame // BLOCK_FRAMES // each * each
    pixels = -(-(first_frame + len(samples)) // (BLOCK_FRAMES * each)) - first_block // each
    row = PeakRow(first_block, max(1, pixels), channels, each)
    pieces, at = [], 0
    for length in lengths:
        pieces.append((first_frame + at, samples[at : at + length]))
        at += length
    random.shuffle(pieces)
    for first, piece in pieces:
        row.add(first // BLOCK_FRAMES, block_peaks(piece.tobytes(), channels, first))
    if len(samples):
        assert row.numbers().tolist() == plainly(samples, first_frame, BLOCK_FRAMES * each)
    else:
        assert set(row.numbers().tolist()) == {0}


def test_what_lies_outside_of_the_row_is_left_out():
    peaks = bytes([0x81, 0x7F]) * 10
    for first, wanted in (
        (0, [0, 0, 0, 0]),
        (95, [-127, 127, -127, 127]),
        (103, [0, 0, -127, 127]),
        (104, [0] * 4),
    ):
        row = PeakRow(100, 2, 1, 2)
        row.add(first, peaks)
        assert row.numbers().tolist() == wanted


def test_silence_takes_part_where_it_lies():
    row = PeakRow(1, 3, 1)
    row.add(1, bytes([50, 60, 50, 60, 50, 60]))
    row.add_silence(0, 256)
    assert row.numbers().tolist() == [50, 60] * 3
    row.add_silence(767, 768)
    row.add_silence(900, 900)
    assert row.numbers().tolist() == [50, 60, 0, 60, 50, 60]
    row.add_silence(0, 10**9)
    assert row.numbers().tolist() == [0, 60] * 3


def test_an_empty_row_says_so_in_its_peaks():
    row = PeakRow(0, 1, 2)
    assert row.peaks == bytes([127, 128, 127, 128])
    other = PeakRow(0, 1, 2)
    other.add(0, row.peaks)
    assert other.numbers().tolist() == [0, 0, 0, 0]
    assert block_peaks(b"", 1, 5) == b""
