"""What is a traceparent, by the standard's own examples, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.traceparent import MAX_BYTES, Traceparent, read_traceparent

NAMED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID, SPAN_ID = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


def test_it_is_read_and_written():
    assert read_traceparent(NAMED) == Traceparent(TRACE_ID, SPAN_ID, 1)
    assert str(read_traceparent(NAMED)) == NAMED


@pytest.mark.parametrize(
    ("flags", "known", "sampled"),
    [("00", 0, False), ("01", 1, True), ("02", 2, False), ("03", 3, True), ("ff", 3, True), ("fc", 0, False)],
)
def test_flags_that_nobody_knows_are_not_passed_on(flags, known, sampled):
    read = read_traceparent(NAMED[:-2] + flags)
    assert (read.flags, read.sampled) == (known, sampled)


@pytest.mark.parametrize(
    "later", ["cc" + NAMED[2:], "cc" + NAMED[2:] + "-what the future will be like", "01" + NAMED[2:] + "-"]
)
def test_of_a_later_version_the_part_that_is_known_counts(later):
    assert str(read_traceparent(later)) == NAMED


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "",
        NAMED + "-",
        NAMED + "-more",
        NAMED + "0",
        NAMED + "\n",
        NAMED + " ",
        " " + NAMED,
        NAMED + ", " + NAMED,
        NAMED.upper(),
        NAMED.replace("-", "_"),
        NAMED[:-1],
        NAMED[3:],
        NAMED[:-2] + ".0",
        "ff" + NAMED[2:],
        "cc" + NAMED[2:] + ".what",
        "cc" + NAMED[2:] + "-two\nlines",
        "cc" + NAMED[2:] + "-" + "x" * MAX_BYTES,
        "0" + NAMED,
        "00-" + "0" * 32 + NAMED[35:],
        NAMED[:36] + "0" * 16 + "-01",
        "٠" * 55,
        "00-" + "٠" * 32 + NAMED[35:],
        "x" * 1_000_000,
    ],
)
def test_what_is_none_is_none(odd):
    assert read_traceparent(odd) is None


@given(st.text(alphabet="0123456789abcdefABCDEF-, \n\x00", max_size=70) | st.text(max_size=80))
def test_nothing_that_comes_breaks_it(text):
    read = read_traceparent(text)
    assert read is None or read_traceparent(str(read)) == read
