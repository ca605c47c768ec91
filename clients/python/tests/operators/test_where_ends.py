"""Beginnings and ends of sessions that are nowhere."""

from tapedeck.operators.where_ends import Bytes, Session, missing_ends
from tapedeck.operators.whereabouts import Piece

EPOCH = 10_000


def piece(start, end, first, last, *, epoch: int | None = EPOCH, state="stored") -> Piece:
    return Piece(start, end, state, epoch=epoch, first_offset=first, end_offset=last)


def told(pieces, sessions=(), deleted=(), **options):
    found = missing_ends(pieces, sessions, deleted, **options)
    return [(one.start_ms, one.end_ms, one.state, one.first_offset, one.end_offset) for one in found]


def test_nothing_is_missing():
    assert told([piece(10_000, 12_000, 0, 100)], [Session(EPOCH, 100, 12_000)]) == []
    assert told([], []) == []


def test_the_beginning_is_missing_though_redis_knows_nothing():
    assert told([piece(11_000, 12_000, 50, 100)]) == [(10_000, 11_000, "missing", 0, 50)]
    # The clock that made the epoch may stand ahead of the one that stamped the audio.
    assert told([piece(9_000, 12_000, 50, 100)]) == [(9_000, 9_000, "missing", 0, 50)]


def test_the_end_is_missing():
    pieces = [piece(10_000, 12_000, 0, 100)]
    assert told(pieces, [Session(EPOCH, 150, 13_000)]) == [(12_000, 13_000, "missing", 100, 150)]
    assert told(pieces, [Session(EPOCH, 150)]) == [(12_000, 12_000, "missing", 100, 150)]
    assert "not known" in missing_ends(pieces, [Session(EPOCH, 150)], [])[0].why
    # A few bytes that held no audio.
    assert told(pieces, [Session(EPOCH, 103, 12_000)]) == []


def test_a_whole_session_is_missing():
    sessions = [Session(EPOCH, 100), Session(20_000, 0), Session(30_000, 70, 31_000)]
    assert told([], sessions) == [
        (10_000, 10_000, "missing", 0, 100),
        (30_000, 31_000, "missing", 0, 70),
    ]


def test_nothing_is_claimed_where_something_may_hold_it():
    nameless = piece(9_000, 11_000, 0, 0, epoch=None)
    late = piece(11_000, 12_000, 50, 100)
    assert told([nameless, late]) == []
    lay = Piece(10_500, 10_900, "deleted")
    assert told([late], deleted=[lay]) == []
    assert told([late], timeless=[Bytes(EPOCH, 0, 50)]) == []
    # Elsewhere they hide nothing.
    assert len(told([piece(1_000, 2_000, 0, 0, epoch=None), late])) == 1
    assert len(told([late], timeless=[Bytes(EPOCH, 0, 49), Bytes(1, 0, 50)])) == 1


def test_what_the_user_deleted_is_told_as_that():
    assert told([piece(11_000, 12_000, 50, 100)], before_ms=10_900) == [(10_000, 11_000, "deleted", 0, 50)]


def test_a_session_whose_audio_came_faster_than_it_plays():
    # Its 20 seconds came within one, so they begin before it.
    [found] = missing_ends([], [Session(20_000, 640, 20_900, 900)], [])
    assert (found.state, found.start_ms, found.end_ms) == ("missing", 900, 20_900)
    [late] = missing_ends([], [Session(20_000, 640, 19_900, 900)], [])
    assert (late.state, late.start_ms, late.end_ms) == ("missing", 900, 19_900)
