"""What the books say of what is stored and of what is missing."""

import pytest

from tapedeck.operators.where_books import Seconds, deleted_by_the_books, held_less
from tapedeck.operators.whereabouts import Piece, stretches

PIECES = [
    Piece(0, 1000, "stored", object="a", epoch=1, first_offset=0, end_offset=10),
    Piece(2000, 3000, "stored", object="b", epoch=1, first_offset=20, end_offset=30),
]


def books(*, stored=2.0, deleted=1.0, difference=0.0) -> Seconds:
    return Seconds(3.0, stored, 0.0, 0.0, deleted, difference)


def states(told):
    return [one.state for one in deleted_by_the_books(stretches(PIECES), told)]


def test_what_is_missing_was_deleted_where_the_books_have_it():
    assert states(books()) == ["stored", "deleted", "stored"]


@pytest.mark.parametrize(
    "told", [None, books(deleted=0.5), books(stored=2.5), books(difference=1.0), books(deleted=0)]
)
def test_else_nobody_knows(told):
    assert states(told) == ["stored", "missing", "stored"]


def test_what_has_no_length_is_not_judged():
    unknown = Piece(4000, 4000, "missing", epoch=1, first_offset=30, end_offset=40)
    found = deleted_by_the_books(stretches([*PIECES, unknown]), books())
    assert [one.state for one in found if one.seconds == 0] == ["missing"]


def test_a_bucket_that_holds_less():
    assert held_less(PIECES, books()) == []
    assert held_less(PIECES, None) == []
    [told] = held_less(PIECES, books(stored=2.5))
    assert "2.500 s are stored, and the bucket holds 2.000 s" in told
