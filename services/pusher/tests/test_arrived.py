"""Which entries can be stored."""

import msgspec
import pytest

from audiobus import Entry, EntryId
from audiobus.errors import BadEntryError
from pusher.arrived import claimed_samples, read_entry


@pytest.fixture
def entry(new_session, packets):
    chunk = new_session().chunk(packets(50))

    def make(entry_id=chunk.id, **fields) -> Entry:
        return Entry(entry_id, {b"c": msgspec.structs.replace(chunk.chunk, **fields).encode()})

    return make


def test_a_chunk_is_a_span_from_its_bytes_to_its_id(entry):
    arrived = read_entry("c", entry())
    assert (arrived.span.first_offset, arrived.span.end_offset) == (0, 5000)
    assert arrived.audio is arrived.span
    assert arrived.samples == 50 * 960 - 312


def test_the_opening_of_a_session_holds_no_audio():
    arrived = read_entry("c", Entry(EntryId(5, 0), {b"o": b"opus:16000:1:312"}))
    assert (arrived.chunk, arrived.span, arrived.audio, arrived.samples) == (None, None, None, 0)


def test_an_entry_that_is_neither_is_refused():
    with pytest.raises(BadEntryError, match="neither"):
        read_entry("c", Entry(EntryId(5, 0), {b"x": b"y"}))


@pytest.mark.parametrize(
    "fields", [{"trim": 1}, {"version": 9}, {"run_start_ms": 10**14}, {"first_offset": 5001}, {"channels": 3}]
)
def test_what_no_object_can_hold_is_refused(entry, fields):
    with pytest.raises(BadEntryError):
        read_entry("c", entry(**fields))


def test_what_an_entry_claims_to_hold_is_counted_where_it_can_be_read(entry):
    assert claimed_samples(entry(trim=1)) == 50 * 960 - 312
    assert claimed_samples(Entry(EntryId(1, 1), {b"c": b"\xc1 damaged"})) == 0
    assert claimed_samples(Entry(EntryId(1, 1), {b"x": b"y"})) == 0
    assert claimed_samples(Entry(EntryId(1, 1), {b"c": msgspec.msgpack.encode({"a": 1})})) == 0
    assert claimed_samples(entry(samples=-1)) == 0
    assert claimed_samples(entry(samples=10**12)) == 0
    nested = b"\x9d\x01\x01" + b"\x91" * 4000 + b"\xc0"  # more lists within lists than a stack holds
    assert claimed_samples(Entry(EntryId(1, 1), {b"c": nested})) == 0
