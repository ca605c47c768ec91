"""How much audio the books count for an entry."""

import msgspec

from audiobus import Chunk, Entry, EntryId
from audiobus.chunk import VERSION


def entry(**fields) -> Entry:
    chunk = Chunk(VERSION, 0, "opus", 16_000, 1, 0, 0, 47_688, 312, 0, True, 0, ())
    return Entry(EntryId(1, 1), {b"c": msgspec.structs.replace(chunk, **fields).encode()})


def test_an_entry_counts_as_what_was_appended():
    assert Entry(EntryId(1, 1), {b"c": b"\xc1 damaged", b"s": b"960"}).counted_samples == 960
    assert Entry(EntryId(1, 1), {**entry().fields, b"s": b"0"}).counted_samples == 0


def test_an_entry_of_an_earlier_version_counts_as_what_it_claims():
    assert entry().counted_samples == 47_688
    assert Entry(EntryId(1, 1), {**entry().fields, b"s": b"-1"}).counted_samples == 47_688
    assert Entry(EntryId(1, 1), {**entry().fields, b"s": b"9" * 16}).counted_samples == 47_688
    assert Entry(EntryId(1, 1), {b"c": b"\xc1 damaged"}).counted_samples == 0
    assert Entry(EntryId(1, 1), {b"x": b"y"}).counted_samples == 0
    assert Entry(EntryId(1, 1), {b"o": b"opus:16000:1:312"}).counted_samples == 0
    assert Entry(EntryId(1, 1), {b"c": msgspec.msgpack.encode({"a": 1})}).counted_samples == 0
    assert entry(samples=-1).counted_samples == 0
    assert entry(samples=10**12).counted_samples == 0
    nested = b"\x9d\x01\x01" + b"\x91" * 4000 + b"\xc0"  # more lists within lists than a stack holds
    assert Entry(EntryId(1, 1), {b"c": nested}).counted_samples == 0
