"""Which entries can be stored."""

import msgspec
import pytest

from audiobus import Entry, EntryId
from audiobus.errors import BadEntryError
from pusher.arrived import read_entry


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


def test_what_was_counted_when_it_was_appended_is_counted_when_it_is_stored(entry):
    appended = entry()
    as_counted = Entry(appended.id, {**appended.fields, b"s": b"7"})
    assert read_entry("c", as_counted).samples == 7
    assert read_entry("c", appended).samples == 50 * 960 - 312
