"""The model of a history in which parts were deleted, held against histories that are none."""

from dataclasses import replace

import pytest

from audiobus.census import Balance
from audiobus.entry_id import EntryId
from audiocodec.span import Span
from tapedeck_testing.simulation.cut_out import (
    Part,
    came_back,
    may_be_gone,
    must_be_gone,
    wrong_in_part,
)
from tapedeck_testing.simulation.history import Books, Given
from tapedeck_testing.simulation.ledger import Held
from tapedeck_testing.simulation.recorder import Spell, Story
from tapedeck_testing.simulation.tape import LEAD, PACKET_MS, Tape

EPOCH = 1_764_000_000_000
PACKETS = tuple(bytes([88, 0, 1, 0, at]) + bytes(5) for at in range(20))
BEGINS = tuple(10 * at for at in range(21))


@pytest.fixture
def story():
    captured = tuple(EPOCH + PACKET_MS * at for at in range(20))
    tape = Tape(1, "u", "c", PACKETS, captured, BEGINS, frozenset({0}))
    return Story(tape, [Spell(EPOCH, 0, tape.total, tape.total)], stored=tape.total, done=True)


def chunk(first, after, appended_s):
    return Held(EntryId(EPOCH, BEGINS[after]), BEGINS[first], EPOCH, appended_s=appended_s)


CHUNKS = [chunk(0, 10, 5.0), chunk(10, 20, 9.0)]


def span(first, after):
    start, end = max(0, first * 2880 - LEAD) if first else 0, after * 2880 - LEAD
    return Span(
        *("c", EPOCH, BEGINS[first], BEGINS[after], EPOCH, start, end - start),
        *(0 if first else LEAD, 0, first == 0, PACKETS[first:after]),
    )


def judged(story, spans, parts, *, given=(), letters=False, prerolls=(), stored=None):
    there = sum(one.samples for one in spans) if stored is None else stored
    balance = Balance(received=there, stored=there)
    gone = must_be_gone(story, CHUNKS, parts)
    may = may_be_gone(story, CHUNKS, [part.stretch for part in parts], letters=letters)
    return wrong_in_part(story, spans, prerolls, Books(waits=False, balance=balance), gone, may, given)


def answered(first, after, asked_s=7.0):
    return Part(EPOCH + first * PACKET_MS, EPOCH + after * PACKET_MS, asked_s=asked_s, done_s=asked_s + 1)


def test_what_was_told_to_be_gone_is_gone_and_all_else_is_there(story):
    parts = [answered(4, 6)]
    assert judged(story, [span(0, 4), span(7, 20)], parts) == []
    assert judged(story, [span(0, 3), span(7, 20)], parts) == []  # what touches it may go, too
    assert any("deleted, and there" in text for text in judged(story, [span(0, 20)], parts))
    assert any("not heard" in text for text in judged(story, [span(0, 3), span(8, 20)], parts))
    assert any("stored twice" in text for text in judged(story, [span(0, 4), span(3, 4), span(7, 20)], parts))


def test_what_nobody_was_told_of_may_have_happened_or_not(story):
    parts = [Part(EPOCH + 4 * PACKET_MS, EPOCH + 6 * PACKET_MS)]
    assert judged(story, [span(0, 20)], parts) == []
    assert judged(story, [span(0, 4), span(7, 20)], parts) == []
    assert judged(story, [span(0, 4), span(9, 20)], parts) != []


def test_what_came_after_the_request_was_not_meant(story):
    late = [answered(10, 14)]
    assert must_be_gone(story, CHUNKS, late) == []
    assert must_be_gone(story, CHUNKS, [answered(10, 14, asked_s=10.0)]) != []
    assert (
        must_be_gone(story, CHUNKS, [replace(late[0], start_ms=None, end_ms=None)])[-1][1]
        < span(11, 12).end_48k
    )


def test_of_a_batch_that_goes_as_a_whole_what_was_shown_is_gone(story):
    part = replace(answered(4, 5), row=((EPOCH * 48 + 4 * 2880, EPOCH * 48 + 6 * 2880),))
    assert must_be_gone(story, CHUNKS, [part]) == must_be_gone(story, CHUNKS, [answered(4, 6)])
    assert must_be_gone(story, CHUNKS, [replace(part, row=())]) == []


def test_a_letter_goes_as_a_whole(story):
    parts = [answered(4, 6)]
    assert judged(story, [span(10, 20)], parts, letters=True) == []
    assert judged(story, [span(10, 20)], parts) != []


def test_what_was_given_up_besides_need_not_be_there(story):
    parts = [answered(4, 6)]
    assert judged(story, [span(0, 4), span(7, 10)], parts, given=[Given(EPOCH, 100, 200)]) == []


def test_nothing_of_it_is_kept_for_a_decoder(story):
    spans, parts = [span(0, 4), span(7, 20)], [answered(4, 6)]
    assert judged(story, spans, parts, prerolls=PACKETS[2:4]) == []
    assert any("kept before" in text for text in judged(story, spans, parts, prerolls=PACKETS[3:6]))


def test_the_books_tell_what_is_there(story):
    parts, spans = [answered(4, 6)], [span(0, 4), span(7, 20)]
    assert any("counted as stored" in text for text in judged(story, spans, parts, stored=1))


def test_it_says_what_came_back():
    assert came_back([span(0, 2)], [(span(0, 1).end_48k + 10, span(1, 2).end_48k)]) != []
    assert came_back([span(0, 1)], [(span(0, 1).end_48k, span(1, 2).end_48k)]) == []
