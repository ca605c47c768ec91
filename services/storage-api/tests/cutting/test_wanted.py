"""What is wanted of a span: windows of time, of whatever was recorded then, and audio of one run alone."""

import random

import pytest

from audiocodec.span import Span
from storage_api.cutting.stretches import Stretches, run_of
from storage_api.cutting.wanted import Wanted

T0 = 1_700_000_000_000
AT = T0 * 48


def span(first: int, samples: int, *, epoch: int = 5, start_ms: int = T0) -> Span:
    return Span("c", epoch, 0, 1, start_ms, first, samples, 0, 0, False, ())


def test_audio_of_a_run_is_wanted_of_that_run_alone():
    audio = Stretches()
    audio.add_span(span(1_000, 500))
    wanted = Wanted(audio=audio)
    assert wanted.touches_span(span(1_499, 10))
    assert wanted.covers_span(span(1_100, 400))
    assert not wanted.covers_span(span(1_100, 401))
    assert not wanted.touches_span(span(1_500, 10))
    assert not wanted.touches_span(span(0, 1_000))
    # The same time, and another session, or another run of the session.
    assert not wanted.touches_span(span(1_000, 500, epoch=6))
    assert not wanted.touches_span(span(1_000 - 48, 500, start_ms=T0 + 1))
    # Nor of what cannot be read, as long as nobody says that it may lie there.
    assert not wanted.of_unreadable.touches(AT, AT + 10_000)
    told = Wanted(audio=audio, unread=((AT + 1_000, AT + 1_500),))
    assert told.of_unreadable.touches(AT + 1_499, AT + 10_000)
    assert not told.touches_span(span(1_000, 500, epoch=6))


def test_windows_are_wanted_of_every_run_and_end_where_nothing_is_recorded():
    audio = Stretches()
    audio.add_span(span(9_000, 500))
    wanted = Wanted(((AT, AT + 2_000),), audio=audio)
    assert wanted.touches_span(span(0, 10, epoch=6))
    short = wanted.up_to(AT + 100)
    assert not short.touches_span(span(100, 10))
    assert short.touches_span(span(9_000, 1))


@pytest.mark.parametrize("seed", range(5))
def test_within_is_what_reaches_in(seed):
    dice = random.Random(seed)
    for _ in range(200):
        stretches = Stretches()
        for _ in range(dice.randint(0, 8)):
            first = dice.randint(0, 60)
            stretches.add(run_of(span(0, 0)), first, first + dice.randint(0, 10))
        one = span(dice.randint(0, 60), dice.randint(0, 20))
        end = one.first_sample + max(1, one.samples)
        expected = [(a, b) for a, b in stretches.of_run(run_of(one)) if a < end and one.first_sample < b]
        assert stretches.within(one) == expected
