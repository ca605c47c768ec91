"""Where what cannot be heard lies in time: worked out from what is heard beside it, purely."""

from dataclasses import replace

import pytest

from audiobus import EntryId
from audiocodec.span import Span
from storage_api.timeline import Live, Piece
from storage_api.unheard import LAST_48K, Unheard, placed

T0 = 1_700_000_000_000
AT = T0 * 48
SECOND = 48_000
SESSION = 1_700_000_000_500


def span(first_s: int, last_s: int, epoch: int = SESSION, cid: str = "c") -> Span:
    """16 kHz PCM of these seconds: 32,000 bytes each."""
    start, samples = first_s * SECOND, (last_s - first_s) * SECOND
    return Span(cid, epoch, first_s * 32_000, last_s * 32_000, T0, start, samples, 0, 0, False, ())


def lost(at_s: int, samples: int = SECOND, *, letter: Span | None = None) -> Unheard:
    return Unheard(EntryId(SESSION, (at_s + 1) * 32_000), at_s * 32_000, samples, "dead_letter", letter)


def places(unheard, *spans: Span) -> list[tuple]:
    pieces = [Piece(one, Live(0)) for one in spans]
    return [(one.start_48k - AT, one.end_48k - AT, one.told) for one in placed(unheard, pieces, "c")]


@pytest.mark.parametrize(
    "beside", [[span(0, 2)], [span(3, 5)], [span(0, 2), span(3, 5)], [span(0, 1), span(5, 6)]]
)
def test_its_time_is_counted_from_what_is_heard_of_its_session(beside):
    assert places([lost(2)], *beside) == [(2 * SECOND, 3 * SECOND, True)]
    # Whatever else is lost beside it: when that goes, nothing moves.
    assert (2 * SECOND, 3 * SECOND, True) in places([lost(1), lost(2), lost(4)], *beside)


def test_a_letter_that_parses_says_its_time_itself():
    letter = span(2, 3)
    [one] = placed([lost(2, letter=letter)], [], "c")
    assert (one.start_48k, one.end_48k, one.told) == (letter.start_48k, letter.end_48k, True)
    assert (one.touches(letter.end_48k, None), one.touches(None, letter.start_48k)) == (False, False)
    assert one.touches(letter.start_48k, letter.end_48k)
    # And what lies beside it is counted from there.
    assert places([lost(2, letter=letter), lost(3)])[1] == (3 * SECOND, 4 * SECOND, True)


def test_without_anything_beside_it_the_session_tells_when_it_began():
    [one] = placed(
        [lost(2)], [Piece(span(0, 3, epoch=1), Live(0)), Piece(span(0, 3, cid="other"), Live(1))], "c"
    )
    assert (one.start_48k, one.told) == (SESSION * 48 + 2 * SECOND, False)
    assert one.touches(0, 1)
    assert one.touches(LAST_48K, None)


def test_it_lies_nowhere_else_than_between_what_is_heard():
    [one] = placed([lost(2, samples=10**15)], [Piece(span(0, 2), Live(0)), Piece(span(3, 4), Live(1))], "c")
    assert (one.start_48k - AT, one.end_48k - AT) == (2 * SECOND, 3 * SECOND)
    [one] = placed([Unheard(EntryId(2**64 - 1, 2**64 - 1), 0, 10**15, "damaged")], [], "c")
    assert (one.start_48k, one.end_48k) == (LAST_48K, LAST_48K)


def opus(first_s: int, last_s: int, first_offset: int, end_offset: int) -> Span:
    return replace(span(first_s, last_s), first_offset=first_offset, end_offset=end_offset)


def letter_of(first_offset: int, offset: int, samples: int = SECOND) -> Unheard:
    return Unheard(EntryId(SESSION, offset), first_offset, samples, "dead_letter")


# A codec's bytes tell no time: these seconds have 4,000 bytes each, and what is heard beside them has 50, or 400,000.
LOUD = [letter_of(1_600 + at * 4_000, 5_600 + at * 4_000) for at in range(5)]


@pytest.mark.parametrize("beside", [slice(1), slice(1, 2), slice(2)], ids=["before", "after", "both"])
def test_what_a_codec_made_is_counted_by_its_samples(beside):
    spans = [opus(0, 32, 0, 1_600), opus(37, 40, 21_600, 1_221_600)][beside]
    assert places(LOUD, *spans) == [(at * SECOND, (at + 1) * SECOND, True) for at in range(32, 37)]


def test_when_one_goes_none_of_the_others_begins_where_it_did():
    """Or whoever asks for it again, by its time, would take that one along."""
    for spans in (
        [opus(0, 32, 0, 1_600)],
        [opus(0, 32, 0, 1_600), opus(37, 40, 21_600, 1_221_600)],
        [opus(0, 32, 0, 1_600), opus(33, 36, 21_600, 1_221_600)],  # less room than they need
        [opus(37, 40, 21_600, 41_600)],
    ):
        begins = [start // 48 for start, _, _ in places(LOUD, *spans)]
        assert begins == sorted(set(begins))
        for gone in range(5):
            left = places([*LOUD[:gone], *LOUD[gone + 1 :]], *spans)
            assert begins[gone] not in [start // 48 for start, _, _ in left], (gone, spans)


def test_of_what_lies_behind_others_that_are_gone_its_own_length_tells_where_it_begins():
    """Nobody knows how many bytes came before it: those are missing, and not its own."""

    def damaged(at_s: int, *, known: bool) -> Unheard:
        return Unheard(
            EntryId(SESSION, (at_s + 1) * 32_000), at_s * 32_000 if known else 0, SECOND, "damaged"
        )

    for spans in ([span(0, 2)], [span(8, 9)], [span(0, 2), span(8, 9)]):
        every = [damaged(at, known=at > 2) for at in range(2, 6)]
        whole = places(every, *spans)
        for gone in range(1, 4):
            left = [damaged(at, known=at > 2 + gone) for at in range(2 + gone, 6)]
            assert places(left, *spans) == whole[gone:], (gone, spans)


def test_it_is_listed_at_no_time_that_means_another():
    """A few milliseconds later, where there is room; what says its time itself stays where it is."""
    at_ms = T0 + 2_000
    taken = frozenset((at_ms, at_ms + 1, at_ms + 3))
    [(start, _, _)] = places([replace(lost(2), not_at_ms=taken)], span(0, 2))
    assert start == 2 * SECOND + 2 * 48
    # Up to the millisecond before what follows.
    every = frozenset(range(at_ms, T0 + 3_000))
    [(start, _, _)] = places([replace(lost(2), not_at_ms=every - {T0 + 2_999})], span(0, 2), span(3, 4))
    assert start == 3 * SECOND - 48
    [(start, _, _)] = places([replace(lost(2), not_at_ms=every)], span(0, 2), span(3, 4))
    assert start == 2 * SECOND
    told = lost(2, letter=span(2, 3))
    [(start, _, _)] = places([replace(told, not_at_ms=taken)], span(0, 2))
    assert start == 2 * SECOND


@pytest.mark.parametrize(("samples", "room_s"), [(0, 0), (0, 1), (1, 0), (1, 1), (SECOND, 0), (SECOND, 1)])
def test_it_begins_before_what_follows(samples, room_s):
    """As times are told, in milliseconds: by its own it alone is selected."""
    after = opus(32 + room_s, 40, 21_600, 41_600)
    [(start, end, _)] = places([letter_of(17_600, 21_600, samples)], opus(0, 32, 0, 1_600), after)
    assert (start + AT) // 48 < after.start_48k // 48
    assert start <= end <= after.start_48k - AT


def test_what_can_be_heard_all_the_same_is_not_lost():
    assert placed([lost(2), lost(2, letter=span(2, 3))], [Piece(span(0, 4), Live(0))], "c") == ()
