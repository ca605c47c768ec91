"""Which pre-roll holds something that is cut out."""

from dataclasses import replace

from audiocodec.span import Span
from storage_api.cutting.heard import Before
from storage_api.cutting.stretches import Stretches, run_of

FIRST = Span("conv", 5, 0, 1_000, 7, 0, 48_000, 0, 0, True, ())
NEXT = replace(FIRST, first_offset=1_000, end_offset=1_100, first_sample=48_000, samples=4_800, starts=False)
PAUSED = replace(NEXT, run_start_ms=9_000, first_sample=0)
"""The same encoder, after a pause: a run of its own, of 100 ms."""


def removed(span: Span, start: int, end: int) -> Stretches:
    found = Stretches()
    found.add(run_of(span), start, end)
    return found


def before(*spans: Span) -> Before:
    found = Before()
    found.add(spans)
    return found


def test_what_lies_right_before_is_heard():
    gone = removed(FIRST, 40_000, 41_000)
    assert before(FIRST).clear_of(gone, "conv", 5, 1_000, 7_001) == 7_000
    assert before(FIRST).clear_of(gone, "conv", 5, 1_000, 7_000) is None
    assert before(FIRST).clear_of(removed(FIRST, 40_000, 48_000), "conv", 5, 1_000, 1) == 0


def test_it_may_lie_before_another_batch_or_a_gap():
    gone = removed(FIRST, 47_000, 47_500)
    for later in (NEXT, PAUSED):
        assert before(FIRST, later).clear_of(gone, "conv", 5, 1_100, 15_360) == 4_800 + 500
        assert before(FIRST, later).clear_of(gone, "conv", 5, 1_100, 4_800) is None


def test_another_session_another_byte_or_what_the_encoder_began_after_is_not_heard():
    gone = removed(FIRST, 47_000, 48_000)
    assert before(FIRST).clear_of(gone, "conv", 6, 1_000, 15_360) is None
    assert before(FIRST).clear_of(gone, "other", 5, 1_000, 15_360) is None
    assert before(FIRST).clear_of(gone, "conv", 5, 900, 15_360) is None
    begun = replace(NEXT, starts=True)
    assert before(FIRST, begun).clear_of(gone, "conv", 5, 1_100, 15_360) is None


def test_of_two_that_end_alike_the_longer_tells():
    part = replace(FIRST, first_offset=900, first_sample=47_900, samples=100, starts=False)
    gone = removed(FIRST, 47_000, 47_500)
    for order in ((FIRST, part), (part, FIRST)):
        assert before(*order).clear_of(gone, "conv", 5, 1_000, 15_360) == 500


def test_spans_that_stand_for_no_byte_end_the_walk():
    odd = replace(NEXT, first_offset=1_100, end_offset=1_100, samples=0)
    assert before(FIRST, odd).clear_of(removed(FIRST, 0, 48_000), "conv", 5, 1_100, 15_360) is None
