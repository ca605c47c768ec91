"""Which listed names are audio, and whose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostore.legacy.names import AudioName, is_ours, parse_audio_name
from audiostore.names import BatchName, parse_name

FOLDER = "chunks/user-1/conv-1/"


@pytest.mark.parametrize(
    ("file", "start_ms", "last_ms", "extension"),
    [
        ("1700000000.000.bin", 1_700_000_000_000, None, "bin"),
        ("1700000000.125.enc", 1_700_000_000_125, None, "enc"),
        ("1700000000.125.opus", 1_700_000_000_125, None, "opus"),
        ("1700000000.125.opus.enc", 1_700_000_000_125, None, "opus.enc"),
        ("1700000000.125.batch.bin", 1_700_000_000_125, None, "batch.bin"),
        ("1700000000.125.batch.enc", 1_700_000_000_125, None, "batch.enc"),
        ("10.000-15.001.batch.bin", 10_000, 15_001, "batch.bin"),
        ("10.000-15.001.batch.enc", 10_000, 15_001, "batch.enc"),
        ("0.000.bin", 0, None, "bin"),
        ("0010.000.opus", 10_000, None, "opus"),
        ("15.000-10.000.batch.bin", 15_000, 10_000, "batch.bin"),
    ],
)
def test_audio_is_known_by_its_name(file, start_ms, last_ms, extension):
    name = parse_audio_name(FOLDER + file)
    assert name == AudioName(FOLDER + file, "user-1", "conv-1", start_ms, last_ms, extension)


@pytest.mark.parametrize(
    "path",
    [
        FOLDER + "meta.json",
        FOLDER + "notes.bin",
        FOLDER + "1700000000.bin",
        FOLDER + "1700000000.00.bin",
        FOLDER + "1700000000.0000.bin",
        FOLDER + "1700000000,000.bin",
        FOLDER + "-1.000.bin",
        FOLDER + ".000.bin",
        FOLDER + "+1.000.bin",
        FOLDER + " 1.000.bin",
        FOLDER + "1.000.bin ",
        FOLDER + "1.000.bin\n",
        FOLDER + "١.000.bin",
        FOLDER + "123456789012.000.bin",
        FOLDER + "1.000.BIN",
        FOLDER + "1.000.wav",
        FOLDER + "1.000.opus.bin",
        FOLDER + "1.000.enc.opus",
        FOLDER + "1.000.batch",
        FOLDER + "1.000.batch.opus",
        FOLDER + "1.000-2.000.bin",
        FOLDER + "1.000-2.000.opus",
        FOLDER + "1.000-.batch.bin",
        FOLDER + "1.000-2.batch.bin",
        FOLDER + "1.000-2.000-3.000.batch.bin",
        FOLDER + "1.000.bin.tmp",
        FOLDER + "more/1.000.bin",
        "chunks/user-1/1.000.bin",
        "chunks//conv-1/1.000.bin",
        "chunks/us er/conv-1/1.000.bin",
        "other/user-1/conv-1/1.000.bin",
        "1.000.bin",
        "",
    ],
)
def test_other_names_are_no_audio(path):
    assert parse_audio_name(path) is None


def test_what_is_ours_by_name_is_audio():
    ours = BatchName("user-1", "conv-1", 1_700_000_000_000, 1_700_000_060_000, sealed=True)
    name = parse_audio_name(ours.path)
    assert (name.start_ms, name.last_ms, name.sealed) == (ours.start_ms, ours.end_ms, ours.sealed)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_none(text):
    name = parse_audio_name(FOLDER + text)
    if parse_name(FOLDER + text) is not None:
        assert name is not None
    if name is not None:
        assert name.path == FOLDER + text
        assert 0 <= name.start_ms < 10**14


@pytest.mark.parametrize(
    ("file", "head", "ours"),
    [
        ("1.000-2.000.batch.bin", b"OggS\0\2\0\0", True),
        ("1.000-2.000.batch.bin", b"OggS", True),
        ("1.000-2.000.batch.bin", b"Ogg", False),
        ("1.000-2.000.batch.bin", b"TDSEAL01", False),
        ("1.000-2.000.batch.bin", b"", False),
        ("1.000.batch.bin", b"OggS\0\2\0\0", True),
        ("1.000-2.000.batch.enc", b"TDSEAL01", True),
        ("1.000-2.000.batch.enc", b"TDSEAL02", False),
        ("1.000-2.000.batch.enc", b"OggS\0\2\0\0", False),
        ("1.000.bin", b"OggS\0\2\0\0", False),
        ("1.000.enc", b"TDSEAL01", False),
        ("1.000.opus", b"OggS\0\2\0\0", False),
        ("1.000.opus.enc", b"TDSEAL01", False),
    ],
)
def test_the_first_bytes_say_whether_a_batch_is_ours(file, head, ours):
    assert is_ours(parse_audio_name(FOLDER + file), head) is ours


def test_the_best_of_several_at_one_time():
    files = ("1.000.opus.enc", "1.000.enc", "1.000.opus", "1.000.bin")
    names = [parse_audio_name(FOLDER + file) for file in files]
    assert sorted(names, key=lambda name: name.rank) == names
    assert len({name.rank for name in names}) == 4
    assert [name.sealed for name in names] == [True, True, False, False]
    assert [name.codec for name in names] == ["opus", "pcm", "opus", "pcm"]
    assert not any(name.is_batch for name in names)
