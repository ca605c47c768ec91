import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiobus import Lag, Position

LAGS = st.builds(
    Lag, st.none() | st.integers(-(2**50), 2**50), st.just(b"") | st.binary(min_size=1, max_size=1)
)


@given(st.integers(0, 2**45), st.integers(0, 2**45), st.lists(LAGS, max_size=2).map(tuple))
def test_what_is_written_is_read(run_start_ms, next_sample, lags):
    position = Position(run_start_ms, next_sample, lags)
    assert Position.parse_or_none(str(position).encode()) == position


def test_it_is_written_as_the_page_says():
    assert str(Position(5, 960)) == "5:960"
    assert str(Position(5, 960, (Lag(-3), Lag(None, b"\x0f")))) == "5:960:-3,*.0f"


def test_before_the_first_audio_there_is_none():
    assert Position.parse_or_none(None) is None
    assert Position.parse_or_none(b"") is None


@pytest.mark.parametrize(
    "text",
    [
        b"5",
        b"a:1",
        b"5:",
        b"5:1:",
        b"5:1:x",
        b"5:1:1,",
        b"5:1:1.0",
        b"5:1:1:1",
        b"5:1:\xff",
        b"05:1",
        b"5:1_0",
        b"5: 1",
        "５:1".encode(),
        b"5:1:1,1,1",
        b"5:1:0.0a0b",
        b"5:1:+1",
        b"9" * 5000,
    ],
)
def test_what_no_position_is_written_like(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the builtin parsers' own words
        Position.parse_or_none(text)
