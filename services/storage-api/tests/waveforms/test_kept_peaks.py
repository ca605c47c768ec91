"""The file of a kept waveform: the same bytes for the same peaks, and nothing but that is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_api.errors import UnreadableError
from storage_api.pcm_rendering import PcmForm
from storage_api.waveforms.kept_peaks import KeptPeaks


def made(channels: int = 2, blocks: int = 3) -> KeptPeaks:
    return KeptPeaks(
        PcmForm(16_000, channels), 106_250_000_000, bytes(range(2 * channels * blocks)), bytes(range(32))
    )


def test_the_bytes_of_version_1_stay_as_they_are():
    wanted = (
        "54445045414b5331" "803e0000" "02" "08" "0001" "8056febc18000000" "03000000"
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "000102030405060708090a0b"
    )  # fmt: skip
    assert made().encode()[:-4].hex() == wanted


@given(st.sampled_from([8_000, 48_000]), st.sampled_from([1, 2]), st.integers(-5, 2**50), st.integers(0, 300))
def test_what_was_written_is_read(rate, channels, first_block, blocks):
    kept = KeptPeaks(PcmForm(rate, channels), first_block, bytes(2 * channels * blocks), bytes(32))
    assert KeptPeaks.decode("x", kept.encode()) == kept


@given(st.data())
def test_one_changed_byte_is_found(data):
    good = bytearray(made().encode())
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UnreadableError):
        KeptPeaks.decode("x", bytes(good))


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data):
    with pytest.raises(UnreadableError):
        KeptPeaks.decode("x", data)
    with pytest.raises(UnreadableError):
        KeptPeaks.decode("x", made().encode()[: len(data)])
