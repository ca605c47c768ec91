"""Dead letters as they lie in Redis."""

import msgspec
import pytest

from audiobus import Chunk, Conversation, Entry, EntryId
from audiobus.chunk import VERSION
from audiobus.errors import BadEntryError
from audiobus.letter import Legible, encode_letter, legible, read_letter

ENTRY = Entry(EntryId(5, 300), {b"c": b"\xc1 damaged", b"s": b"960"})


def test_a_letter_is_read_as_it_was_written():
    letter = read_letter(b"5-300", encode_letter(ENTRY, reason="why", at_ms=9, first_offset=200, samples=960))
    assert letter.entry == ENTRY
    assert (letter.reason, letter.at_ms, letter.first_offset, letter.samples) == ("why", 9, 200, 960)
    assert letter.content["reason"] == "why"


def test_a_letter_of_an_earlier_version_counts_as_its_entry_does():
    old = msgspec.msgpack.encode({"reason": "why", "at_ms": 9, "fields": {b"c": b"\xc1", b"s": b"7"}})
    letter = read_letter("5-300", old)
    assert (letter.first_offset, letter.samples) == (0, 7)


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        msgspec.msgpack.encode([1]),
        msgspec.msgpack.encode({"reason": "x", "at_ms": 9}),
        msgspec.msgpack.encode({"reason": "x", "at_ms": None, "fields": {}}),
        msgspec.msgpack.encode({"reason": "x", "at_ms": 9, "fields": 7}),
        msgspec.msgpack.encode({"reason": "x", "at_ms": 9, "fields": {"c": 1}}),
    ],
)
def test_what_is_no_letter(data):
    with pytest.raises(BadEntryError, match="dead letter"):
        read_letter("5-300", data)


def test_the_id_must_be_one():
    with pytest.raises(BadEntryError):
        read_letter("abc", encode_letter(ENTRY, reason="x", at_ms=0, first_offset=0, samples=0))


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({b"c": Chunk(VERSION, 7, "opus", 16_000, 1, 7_000, 48_000, 0, 0, 0, False, 300, ()).encode()}, Legible(True, 8_000)),
        ({b"c": Chunk(VERSION, 7, "opus", 16_000, 1, 7_000, 0, 0, 0, 0, False, 301, ()).encode()}, Legible(False, 7_000)),
        ({b"c": b"\xc1"}, Legible(False)),
        ({}, Legible(False)),
    ],
    ids=["whole", "ends before it begins", "damaged", "without"],
)  # fmt: skip
def test_what_can_be_read_of_its_audio(fields, read):
    data = encode_letter(Entry(EntryId(5, 300), fields), reason="x", at_ms=0, first_offset=0, samples=0)
    assert legible(Conversation("u", "c"), read_letter("5-300", data)) == read
