"""No row of the page is forgotten: each piece of it has a name, and each name has a test."""

from tapedeck_testing.protocol import rows


def test_every_row_and_sentence_of_the_page_is_known_by_a_name():
    page = list(rows.pieces(rows.PAGE.read_text(encoding="utf-8")))
    openings = [opening for opening, _ in rows.ROWS]
    assert [opening for opening in openings if not any(piece.startswith(opening) for piece in page)] == []
    assert [piece for piece in page if sum(map(piece.startswith, openings)) != 1] == []


def test_every_row_has_a_test_that_names_it():
    named = rows.tests_by_rule()
    assert sorted(rows.rules() - named.keys()) == []
    assert {name: tests for name, tests in named.items() if name not in rows.rules()} == {}
