"""Which bytes are in the entries of a cut."""

import pytest

from audiobus import Cut
from audiobus.cut import VERSION
from audiobus.letters_cut import LettersCut

NAME = "chunks/alice/talk/1.000-2.000.batch.bin"


@pytest.mark.parametrize(
    ("span", "of_buffer", "of_letters"),
    [
        ((5, 0, 100), False, False),  # settled before
        ((5, 0, 200), True, True),
        ((5, 100, 200), True, True),
        ((5, 300, 400), True, False),
        ((5, 200, 900), True, True),
        ((5, 400, 500), False, False),
        ((4, 100, 400), False, False),
        ((6, 100, 400), False, False),
    ],
)
def test_what_it_reaches(span, of_buffer, of_letters):
    """Entries that end at 200, 300 and 400, of which the first may begin at 100; letters that end at 200 and 300."""
    assert Cut(VERSION, "5-200", "5-400", NAME, "standard", "age").reaches(*span) == of_buffer
    assert LettersCut(1, ("5-200", "5-300"), NAME, "standard").reaches(*span) == of_letters


def test_over_two_sessions():
    cut = Cut(VERSION, "5-200", "7-100", NAME, "standard", "age")
    found = [
        cut.reaches(*span) for span in [(5, 0, 100), (5, 100, 200), (6, 0, 9), (7, 0, 100), (7, 100, 200)]
    ]
    assert found == [False, True, True, True, False]
