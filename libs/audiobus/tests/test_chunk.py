"""The chunk entry: round trip, broken twins, and whatever bytes there are."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiobus import Chunk, decode_chunk
from audiobus.errors import BadEntryError

SILENCE_20_MS = b"\xf8\xff\xfe"


def chunk(**changes) -> Chunk:
    made = Chunk(
        version=1,
        at_ms=1_732_147_200_000,
        source="opus",
        sample_rate=16_000,
        channels=1,
        run_start_ms=1_732_147_199_000,
        first_sample=0,
        samples=50 * 960 - 312,
        lead=312,
        trim=0,
        starts=True,
        first_offset=0,
        packets=(SILENCE_20_MS,) * 50,
    )
    return msgspec.structs.replace(made, **changes)


def test_round_trip():
    made = chunk()
    assert decode_chunk(made.encode()) == made


def test_an_empty_chunk_only_moves_the_offset():
    made = chunk(packets=(), samples=0, lead=0, starts=False)
    assert decode_chunk(made.encode()) == made


def test_as_a_piece_of_the_timeline():
    span = chunk().span("conv-1", 17, 150)
    assert (span.conversation, span.epoch, span.first_offset, span.end_offset) == ("conv-1", 17, 0, 150)
    assert span.samples == 47_688


@pytest.mark.parametrize(
    ("broken", "defect"),
    [
        (chunk(version=2), "version 2"),
        (chunk(samples=1), "where 1 \\+ 312"),
        (chunk(packets=(b"",)), "packet"),
        (chunk(packets=(b"\xff" * 2000,)), "packet"),
        (chunk(first_sample=-1), "negative"),
        (chunk(channels=3), "3 channels"),
        (chunk(sample_rate=7999), "7999 Hz"),
    ],
)
def test_broken_twins(broken, defect):
    with pytest.raises(BadEntryError, match=defect):
        decode_chunk(broken.encode())


def test_too_large_is_refused_before_it_is_parsed():
    with pytest.raises(BadEntryError, match="limit"):
        decode_chunk(b"\x9d\x01" + bytes(5 * 1024 * 1024))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_chunk_or_a_clear_error(data):
    try:
        decode_chunk(data)
    except BadEntryError as error:
        assert str(error).startswith("chunk entry")


@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_a_damaged_chunk_is_a_chunk_or_a_clear_error(at, patch):
    data = bytearray(chunk().encode())
    data[at : at + len(patch)] = patch
    try:
        decode_chunk(bytes(data))
    except BadEntryError as error:
        assert str(error).startswith("chunk entry")
