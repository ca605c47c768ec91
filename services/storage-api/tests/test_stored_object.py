"""When an object is, as far as it is known."""

import pytest

from audiostore.legacy import parse_audio_name
from audiostore.store import ObjectInfo
from storage_api.stored_object import MAX_NAMED_MS, OlderFacts, StoredObject, Verdict
from storage_api.timeline import Older


def stored(file: str, verdict: Verdict) -> StoredObject:
    path = f"chunks/user-1/conv-1/{file}"
    return StoredObject(ObjectInfo(path, 100, None, None), parse_audio_name(path), verdict)


def test_an_older_object_is_one_piece_from_its_timestamp():
    one = stored("1700000000.125.opus", Verdict(OlderFacts("opus", 240_000)))
    (piece,) = one.pieces
    assert piece.source == Older(one.info.name)
    assert (piece.span.start_48k, piece.span.end_48k) == (one.start_48k, one.end_48k)
    assert one.start_48k == 1_700_000_000_125 * 48
    assert one.end_48k - one.start_48k == 240_000


@pytest.mark.parametrize(
    ("file", "verdict", "lasts_ms"),
    [
        ("10.000.opus.enc", Verdict(OlderFacts("opus", 0), "damaged"), 0),
        ("10.000.enc", Verdict(OlderFacts("pcm", 48_000), "no_key"), 1_000),
        ("10.000-15.000.batch.enc", Verdict(OlderFacts("pcm", 480_000), "no_key"), 10_000),
        ("10.000-15.000.batch.bin", Verdict(None, "not_a_batch"), 5_000),
        ("10.000.batch.bin", Verdict(None, "not_a_batch"), 0),
        ("10.000-9.000.batch.bin", Verdict(None, "not_a_batch"), 0),
        ("10.000-99999999999.000.batch.bin", Verdict(None, "not_a_batch"), MAX_NAMED_MS),
    ],
)
def test_of_one_that_cannot_be_read_what_is_known_counts(file, verdict, lasts_ms):
    one = stored(file, verdict)
    assert one.pieces == []
    assert one.start_48k == 10_000 * 48
    assert one.end_48k - one.start_48k == lasts_ms * 48


def test_an_older_object_says_its_form():
    assert (OlderFacts.sample_rate, OlderFacts.channels) == (16_000, 1)
    assert OlderFacts.of(parse_audio_name("chunks/u/c/1.000.bin"), 16_000) == OlderFacts("pcm", 48_000)
