"""What lies in the bucket already, as ranges of bytes."""

import pytest

from audiobus.cut import Stored
from pusher.stored_ranges import covers, merged, reach_into


def test_ranges_side_by_side_become_one():
    assert merged([Stored(2, 0, 5), Stored(1, 10, 20), Stored(1, 0, 10), Stored(1, 25, 30)]) == (
        Stored(1, 0, 20),
        Stored(1, 25, 30),
        Stored(2, 0, 5),
    )
    assert merged([Stored(1, 0, 30), Stored(1, 5, 10)]) == (Stored(1, 0, 30),)
    assert merged([]) == ()


@pytest.fixture
def span(new_session, packets, clock):
    session = new_session()
    session.begin(7)
    session.chunk(packets(1))
    return session.chunk(packets(2)).span


@pytest.mark.parametrize(
    ("ranges", "covered"),
    [
        ([Stored(7, 100, 300)], True),
        ([Stored(7, 0, 1000)], True),
        ([Stored(8, 0, 1000)], False),
        ([Stored(7, 0, 299)], False),
        ([Stored(7, 101, 300)], False),
        ([], False),
    ],
)
def test_only_what_is_there_as_a_whole_is_there(ranges, covered, span):
    assert (span.first_offset, span.end_offset) == (100, 300)
    assert covers(ranges, span) is covered


@pytest.mark.parametrize(
    ("stored", "reaches"),
    [
        (Stored(7, 0, 100), False),
        (Stored(7, 0, 101), True),
        (Stored(7, 150, 160), True),
        (Stored(7, 299, 400), True),
        (Stored(7, 300, 400), False),
        (Stored(8, 0, 1000), False),
    ],
)
def test_which_ranges_reach_into_it(stored, reaches, span):
    assert reach_into([Stored(9, 0, 1000), stored], span) is reaches
