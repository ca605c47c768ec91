"""Under which names a copy may lie."""

from itertools import islice

import pytest

from audiobus import Conversation
from audiostore.legacy import parse_audio_name
from audiostore.names import parse_name
from storage_api.merging.copy_names import TRIES, copy_names

A, B = Conversation("u", "a"), Conversation("u", "b")


def first(file: str, count: int = 3) -> list[str]:
    found = list(islice(copy_names(f"chunks/u/a/{file}", A, B), count))
    assert all(name.startswith("chunks/u/b/") for name in found)
    return [name.removeprefix("chunks/u/b/") for name in found]


@pytest.mark.parametrize(
    ("file", "then"),
    [
        ("1.000-60.999.batch.bin", ["1.000-61.000.batch.bin", "1.000-61.001.batch.bin"]),
        ("1.000-60.000.batch.enc", ["1.000-60.001.batch.enc", "1.000-60.002.batch.enc"]),
        ("7.999.opus.enc", ["8.000.opus.enc", "8.001.opus.enc"]),
        ("7.250.bin", ["7.251.bin", "7.252.bin"]),
        ("other.txt", ["other.txt.1", "other.txt.2"]),
        ("deep/er.bin", ["deep/er.bin.1", "deep/er.bin.2"]),
    ],
)
def test_its_own_name_first_then_a_millisecond_later(file, then):
    assert first(file) == [file, *then]


def test_a_batch_stays_one_and_begins_when_it_did():
    for name in copy_names("chunks/u/a/1.000-2.000.batch.enc", A, B):
        parsed = parse_name(name)
        assert parsed is not None
        assert (parsed.start_ms, parsed.sealed, parsed.conversation_id) == (1000, True, "b")


def test_every_other_name_is_audio_where_the_first_is():
    assert all(parse_audio_name(name) for name in copy_names("chunks/u/a/1.000.opus", A, B))


def test_there_are_so_many():
    assert len(set(copy_names("chunks/u/a/1.000.bin", A, B))) == TRIES
