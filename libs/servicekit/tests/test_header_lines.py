"""Header lines: the same are read, in linear time."""

import re

import h11
import pytest
from h11 import _readers
from hypothesis import given
from hypothesis import strategies as st

from servicekit.header_lines import LINEAR, QUADRATIC, read_in_linear_time

LINES = st.one_of(
    st.binary(max_size=40),
    st.text("aZ09:-_ \t\x00\r\n\x0b\x80ü", max_size=30).map(lambda text: text.encode("latin-1")),
    st.text("a \t\x00", max_size=30).map(lambda text: b"X:" + text.encode()),
)


@given(LINES)
def test_both_expressions_read_the_same(line):
    before, after = re.compile(QUADRATIC).fullmatch(line), re.compile(LINEAR).fullmatch(line)
    assert (before and before.groups()) == (after and after.groups())


def test_this_h11_has_the_expression_that_is_known():
    read_in_linear_time()
    assert _readers.header_field_re.pattern == LINEAR


@pytest.mark.parametrize("spaces", [30_000, 1_000_000])
def test_a_line_of_spaces_is_refused_at_once(spaces):
    """With the other expression the second takes an hour."""
    read_in_linear_time()
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=2_000_000)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\nX:" + b" " * spaces + b"\x00\r\n\r\n")
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
