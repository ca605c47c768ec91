"""Times and lengths, as people read them."""

import pytest

from tapedeck.operators.spans import length, moment, several, times


def test_a_moment():
    assert moment(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.250 s"),
        (42, "42.0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_length(seconds, text):
    assert length(seconds) == text


def test_how_often():
    assert [times(1), times(3), several(1, "entry", "entries"), several(2, "entry", "entries")] == [
        "once",
        "3 times",
        "1 entry",
        "2 entries",
    ]
