from hypothesis import given
from hypothesis import strategies as st

from audiostore.kept_metadata import keep, read_back
from audiostore.store import CONTENT_CRC32C, METADATA_LEFT_OUT

KEYS = st.from_regex(r"[a-z][a-z0-9]{0,20}(-[a-z0-9]{1,10}){0,2}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=300)


def size(entries):
    return sum(len(key) + len(value) for key, value in entries.items())


@given(st.dictionaries(KEYS, VALUES, max_size=12), st.integers(0, 2**32 - 1), st.integers(60, 2500))
def test_everything_is_read_back_or_none(metadata, crc32c, limit):
    kept = keep(metadata, crc32c, limit)
    assert size(kept.entries) <= limit
    assert read_back(kept.entries) == (crc32c, kept.metadata)
    assert kept.metadata in (metadata, None)
    assert (kept.metadata is None) == (size(metadata) + 22 > limit)


def test_the_smaller_entries_stay_for_who_looks_at_the_bucket():
    metadata = {"tapedeck-runs": "r" * 2000, "tapedeck-sha256": "0" * 64, "tapedeck-source": "pcm16"}
    kept = keep(metadata, 7, 2048)
    assert kept.entries == {
        CONTENT_CRC32C: "00000007",
        METADATA_LEFT_OUT: "1",
        "tapedeck-sha256": "0" * 64,
        "tapedeck-source": "pcm16",
    }


def test_other_programs_objects_have_no_checksum():
    assert read_back({}) == (None, {})
    assert read_back({"mtime": "1"}) == (None, {"mtime": "1"})
    assert read_back({CONTENT_CRC32C: "not hex!"}) == (None, {})
    assert read_back({CONTENT_CRC32C: "DEADBEEF"}) == (None, {})
