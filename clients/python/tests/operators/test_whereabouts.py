"""Stretches of time, made of pieces."""

from tapedeck.operators.whereabouts import Piece, stretches


def piece(start, end, state="waiting", *, first=None, last=None, epoch=1, **fields) -> Piece:
    return Piece(
        start,
        end,
        state,
        epoch=epoch,
        first_offset=start if first is None else first,
        end_offset=end if last is None else last,
        **fields,
    )


def told(pieces, deleted=()):
    return [(one.start_ms, one.end_ms, one.state) for one in stretches(pieces, deleted)]


def test_what_goes_on_is_one_stretch():
    found = stretches([piece(1000, 2000), piece(0, 1000), piece(2000, 3000)])
    assert [(one.start_ms, one.end_ms, one.first_offset, one.end_offset) for one in found] == [
        (0, 3000, 0, 3000)
    ]
    assert found[0].start == "1970-01-01T00:00:00.000Z"
    assert found[0].seconds == 3


def test_another_state_reason_or_object_is_another_stretch():
    pieces = [
        piece(0, 1000, "stored", object="a"),
        piece(1000, 2000, "stored", object="b"),
        piece(2000, 3000, why="x"),
        piece(3000, 4000, why="y"),
        piece(4000, 5000, "dead"),
    ]
    assert [state for *_, state in told(pieces)] == ["stored", "stored", "waiting", "waiting", "dead"]


def test_what_is_stored_and_still_waits_is_stored():
    pieces = [piece(0, 3000, "stored", object="a"), piece(0, 1000), piece(1000, 2000), piece(3000, 4000)]
    assert told(pieces) == [(0, 3000, "stored"), (3000, 4000, "waiting")]
    # Without its facts an object says nothing about bytes.
    assert len(told([piece(0, 3000, "stored", epoch=None), piece(0, 1000)])) == 2


def test_why_there_is_a_gap():
    pause = stretches([piece(0, 1000), piece(3000, 4000, first=1000)])
    assert (pause[1].state, pause[1].seconds) == ("gap", 2)
    assert "a pause" in pause[1].why
    lost = stretches([piece(0, 1000), piece(3000, 4000, first=2500)])
    assert lost[1].state == "missing"
    assert "1500 bytes" in lost[1].why
    other = stretches([piece(0, 1000), piece(3000, 4000, epoch=2, first=0)])
    assert (other[1].state, other[1].why) == ("gap", "between two sessions")
    late = stretches([piece(0, 1000), piece(3000, 4000, epoch=2, first=70)])
    assert late[1].state == "missing"
    assert "first 70 bytes" in late[1].why
    named = stretches([piece(0, 1000, "stored", epoch=None), piece(3000, 4000)])
    assert "as far as the objects say" in named[1].why


def test_rounding_makes_no_gap():
    assert told([piece(0, 1000), piece(1002, 2000)]) == [(0, 1000, "waiting"), (1002, 2000, "waiting")]


def test_a_gap_that_an_object_lay_in_was_deleted():
    lay = Piece(900, 2900, "deleted", "deleted at noon", "chunks/u/c/x")
    found = stretches([piece(0, 1000), piece(3000, 4000, first=3000)], [lay])
    assert (found[1].state, found[1].why, found[1].object) == ("deleted", "deleted at noon", "chunks/u/c/x")


def test_what_overlaps_hides_no_gap():
    pieces = [piece(0, 9000), piece(1000, 2000, epoch=2, first=0), piece(9500, 9900, first=9000)]
    assert told(pieces)[-2:] == [(9000, 9500, "gap"), (9500, 9900, "waiting")]


def test_what_was_deleted_before_the_first_and_after_the_last_is_told_once():
    lay = [
        Piece(0, 900, "deleted", "gone", "a"),
        Piece(0, 901, "deleted", "gone", "b"),
        Piece(1500, 2900, "deleted", "gone", "c"),
        Piece(2000, 2001, "deleted", "gone", "d"),
    ]
    assert told([piece(1000, 2000)], lay) == [
        (0, 901, "deleted"),
        (1000, 2000, "waiting"),
        (2000, 2900, "deleted"),
    ]
    assert told([], lay[:1]) == [(0, 900, "deleted")]


def test_what_ends_nobody_knows_when_is_followed_by_no_gap():
    def older(start, end, **fields):
        return piece(start, end, "stored", epoch=None, **fields)

    endless = [older(0, 1000), older(1000, 1000, endless=True), older(5000, 6000)]
    assert [one.state for one in stretches(endless)] == ["stored"] * 3
    assert [one.length_known for one in stretches(endless)] == [True, False, True]
    # Beside one that can be read it is another copy of that, and before a known one it ends there.
    copies = [older(0, 0, endless=True), older(0, 1000), older(5000, 6000)]
    assert [one.state for one in stretches(copies)] == ["stored", "stored", "gap", "stored"]
    # What lay there and was deleted is told all the same.
    deleted = [piece(2000, 3000, "deleted", epoch=None)]
    assert [one.state for one in stretches(endless, deleted)] == ["stored", "stored", "deleted", "stored"]
