import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostore.errors import BadNameError
from audiostore.names import (
    MAX_TIME_MS,
    BatchName,
    conversation_prefix,
    parse_conversation_prefix,
    parse_name,
    timestamp,
    user_prefix,
)
from audiostore.store import check_name

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}", fullmatch=True).filter(str.isascii)


def test_a_name_says_who_what_and_when():
    name = BatchName("user@x", "0198-c", 1732147200123, 1732147260000)
    assert name.path == "chunks/user@x/0198-c/1732147200.123-1732147260.000.batch.bin"
    assert BatchName("u", "c", 5, 5, sealed=True).path == "chunks/u/c/0.005-0.005.batch.enc"
    assert parse_name(name.path) == name


@given(ids, ids, st.integers(0, MAX_TIME_MS), st.integers(0, 10**6), st.booleans())
def test_parse_is_the_inverse_and_every_store_takes_the_name(uid, conversation, start, length, sealed):
    name = BatchName(uid, conversation, start, min(start + length, MAX_TIME_MS), sealed)
    assert parse_name(name.path) == name
    assert check_name(name.path)
    assert name.path.startswith(conversation_prefix(uid, conversation))
    assert parse_conversation_prefix(conversation_prefix(uid, conversation)) == (uid, conversation)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "chunks/u/c/1.000-2.000.bin",
        "chunks/u/c/1.000.batch.bin",
        "chunks/u/c/1.000.opus.enc",
        "chunks/u/c/1.00-2.000.batch.bin",
        "chunks/u/c/01.000-2.000.batch.bin",
        "chunks/u/c/2.000-1.999.batch.bin",
        "chunks/u/c/1.000-2.000.batch.bin\n",
        "chunks/u/c/1.000-2.000.batch.ogg",
        "chunks/u/c/١.000-2.000.batch.bin",
        "chunks/u/c/-1.000-2.000.batch.bin",
        "chunks/u/c/123456789012.000-123456789013.000.batch.bin",
        "chunks/u/c/d/1.000-2.000.batch.bin",
        "chunks/u/1.000-2.000.batch.bin",
        "chunks/u/.c/1.000-2.000.batch.bin",
        "chunks/ü/c/1.000-2.000.batch.bin",
        "other/u/c/1.000-2.000.batch.bin",
    ],
)
def test_what_is_not_named_like_a_batch_is_none(path):
    assert parse_name(path) is None


@pytest.mark.parametrize("bad", ["", ".", "..", ".x", "-x", "a/b", "a b", "a\0", "ü", "x" * 129, "x\n"])
def test_ids_that_cannot_be_in_a_name_are_refused(bad):
    for make in (
        lambda: BatchName(bad, "c", 1, 2),
        lambda: BatchName("u", bad, 1, 2),
        lambda: user_prefix(bad),
        lambda: conversation_prefix("u", bad),
    ):
        with pytest.raises(BadNameError):
            make()
    assert parse_conversation_prefix(f"chunks/u/{bad}/") is None


@pytest.mark.parametrize(("start", "end"), [(2, 1), (-1, 1), (0, MAX_TIME_MS + 1)])
def test_times_that_run_backwards_or_out_are_refused(start, end):
    with pytest.raises(BadNameError):
        BatchName("u", "c", start, end)


def test_names_sort_by_time():
    times = [1732147200_000, 1732147200_001, 1732147200_999, 1732147201_000, 1999999999_999]
    names = [BatchName("u", "c", start, start).path for start in times]
    assert names == sorted(names)


def test_prefixes():
    assert user_prefix("u") == "chunks/u/"
    assert timestamp(1732147200_007) == "1732147200.007"
    for foreign in ("chunks/u/", "chunks/u/c", "chunks/u/c/d/", "other/u/c/", ""):
        assert parse_conversation_prefix(foreign) is None
