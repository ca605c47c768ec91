"""The model of a correct history, held against histories that are none."""

from dataclasses import replace

import pytest

from audiobus.census import Balance
from audiocodec.span import Span
from tapedeck_testing.simulation.chance import Chance
from tapedeck_testing.simulation.history import (
    Books,
    Given,
    readable,
    wrong,
    wrong_plain,
)
from tapedeck_testing.simulation.recorder import Spell, Story
from tapedeck_testing.simulation.tape import LEAD, PACKET_MS, record

EPOCH = 1_764_000_000_000


@pytest.fixture
def story():
    tape = record(1, "u", "c", EPOCH, Chance(7, []))
    while len(tape.packets) < 20 or len(tape.run_starts) > 1:
        tape = record(1, "u", "c", EPOCH, Chance(tape.number + len(tape.packets), []))
    whole = Spell(EPOCH, 0, tape.total, tape.total)
    return Story(tape, [whole], stored=tape.total, done=True)


def span(story, first, after, epoch=EPOCH, base=0):
    tape = story.tape
    lead = LEAD if first == 0 else 0
    samples = (after - first) * PACKET_MS * 48 - lead
    start = tape.captured_ms[first] * 48 - (0 if lead else LEAD)
    return Span(
        "c",
        epoch,
        tape.begins[first] - base,
        tape.begins[after] - base,
        tape.captured_ms[0],
        start - tape.captured_ms[0] * 48,
        samples,
        lead,
        0,
        first == 0,
        tape.packets[first:after],
    )


def judged(story, spans, **balance):
    stored = sum(one.samples for one in spans)
    balance = {"received": stored, "stored": stored, **balance}
    return wrong(story, spans, Books(waits=False, balance=Balance(**balance)), lossy=False)


def test_a_whole_recording_in_any_number_of_batches_is_right(story):
    count = len(story.tape.packets)
    assert judged(story, [span(story, 0, count)]) == []
    assert judged(story, [span(story, 7, count), span(story, 0, 3), span(story, 3, 7)]) == []


def test_a_session_that_was_superseded_goes_on_where_it_ended(story):
    tape, count = story.tape, len(story.tape.packets)
    end = tape.begins[9]
    later = EPOCH + 5
    story.spells[:] = [Spell(EPOCH, 0, end, tape.total, end), Spell(later, end, tape.total, tape.total)]
    spans = [span(story, 0, 9), span(story, 9, count, later, end)]
    assert judged(story, spans) == []
    assert any("the next one begins" in text for text in judged(story, [span(story, 0, 10), spans[1]]))


def test_what_is_missing_or_twice_or_misplaced_is_found(story):
    tape, count = story.tape, len(story.tape.packets)
    first, rest = span(story, 0, 5), span(story, 5, count)
    found = {
        "missing": [first, span(story, 6, count)],
        "at the end": [first],
        "twice": [first, rest, span(story, 3, 7)],
        "nobody's": [first, rest, replace(first, epoch=9)],
        "packets of others": [
            replace(first, packets=record(2, "u", "d", EPOCH, Chance(1, [])).packets[:5]),
            rest,
        ],
        "has changed": [replace(first, packets=(tape.packets[0] + b"x", *tape.packets[1:5])), rest],
        "ms off": [first, replace(rest, first_sample=rest.first_sample + 480)],
        "lasts": [first, replace(rest, samples=rest.samples - 48)],
    }
    for reason, spans in found.items():
        assert any(reason in text for text in judged(story, spans)), reason


def test_books_that_do_not_balance_and_audio_that_waits_are_found(story):
    spans = [span(story, 0, len(story.tape.packets))]
    assert any("balance by" in text for text in judged(story, spans, received=7))
    assert any("counted as stored" in text for text in judged(story, spans, stored=7, received=7))
    assert any("come to rest" in text for text in judged(story, spans, dead=7))
    story.done = False
    assert any("never ended" in text for text in judged(story, spans))


def test_where_redis_lost_something_a_chunk_of_which_a_part_is_stored_is_stored_whole(story):
    tape, count = story.tape, len(story.tape.packets)
    spans = [span(story, 0, 5), span(story, 3, 7), span(story, 7, count)]
    stored = sum(one.samples for one in spans)
    books = Books(waits=False, balance=Balance(stored, stored, 0, 0, 0))
    chunk = Given(EPOCH, tape.begins[3], tape.begins[7])
    assert wrong(story, spans, books, lossy=True, chunks=[chunk]) == []
    for lossy, chunks in ((False, [chunk]), (True, []), (True, [replace(chunk, end_offset=tape.begins[4])])):
        found = wrong(story, spans, books, lossy=lossy, chunks=chunks)
        assert any("stored twice" in text for text in found)
    whole = [spans[0], span(story, 0, 7), spans[2]]
    chunk = Given(EPOCH, tape.begins[0], tape.begins[5])
    assert any("stored twice" in text for text in wrong(story, whole, books, lossy=True, chunks=[chunk]))


def test_only_where_redis_lost_something_an_object_that_landed_late_may_hold_what_others_hold(story):
    count = len(story.tape.packets)
    late = span(story, 3, 7)
    spans = [span(story, 0, 5), late, span(story, 5, count)]
    stored = sum(one.samples for one in spans)
    books = Books(waits=False, balance=Balance(stored, stored, 0, 0, 0))
    assert wrong(story, spans, books, lossy=True, late=[late]) == []
    for lossy, those in ((False, [late]), (True, []), (True, [spans[0]])):
        assert any("stored twice" in text for text in wrong(story, spans, books, lossy=lossy, late=those))


def test_an_object_that_landed_late_hides_nothing_of_two_others(story):
    count = len(story.tape.packets)
    late = span(story, 0, 9)
    spans = [span(story, 0, 5), late, span(story, 2, 4), span(story, 9, count)]
    found = wrong(story, spans, Books(waits=False, balance=Balance()), lossy=True, late=[late])
    [text] = [text for text in found if "stored twice" in text]
    both = [f"{one.first_offset}-{one.end_offset}" for one in (spans[0], spans[2])]
    assert text == f"stored twice: session {EPOCH}, {both[0]} and {both[1]}"


@pytest.mark.parametrize("pcm", [False, True])
def test_where_redis_lost_something_all_is_there_of_which_the_device_was_told_so(pcm):
    tape = record(1, "u", "c", EPOCH, Chance(7, []), pcm=pcm)
    count, middle = len(tape.packets), len(tape.packets) // 2
    end, later = tape.begins[middle], EPOCH + 5
    former = Spell(EPOCH, 0, end, tape.total, end, stored=end)
    spells = [former, Spell(later, end, tape.total, tape.total, stored=tape.total)]
    story = Story(tape, spells, done=True)
    one, two = span(story, 0, middle), span(story, middle, count, later, end)

    def missing(spans, given=()):
        found = wrong(story, spans, Books(waits=False, balance=Balance()), lossy=True, given=given)
        return [text for text in found if "told that it is stored" in text]

    assert missing([one, two]) == []
    for spans, parts in (([], 2), ([one], 1), ([two], 1)):
        assert len(missing(spans)) == parts
    assert missing([two], [Given(EPOCH, 0, end)]) == []
    spells[1].stored = 0
    assert missing([one]) == []
    # Each session speaks for itself: the later one does not know what Redis lost of the former.
    spells[0].stored, spells[1].stored = 0, tape.total
    assert missing([two]) == []
    assert len(missing([span(story, middle + 1, count, later, end)])) == 1


def test_only_what_was_given_up_may_be_missing(story):
    tape, count = story.tape, len(story.tape.packets)
    spans = [span(story, 0, 5), span(story, 6, count)]
    stored = sum(one.samples for one in spans)
    lacking = PACKET_MS * 48
    books = Books(waits=False, balance=Balance(stored + lacking, stored, 0, 0, lacking))
    given = [Given(EPOCH, tape.begins[5], tape.begins[6])]
    assert wrong(story, spans, books, lossy=False, given=given) == []
    assert any("nobody did" in text for text in wrong(story, spans, books, lossy=False))
    for other in (replace(given[0], epoch=1), replace(given[0], end_offset=tape.begins[6] - 1)):
        assert any("missing" in text for text in wrong(story, spans, books, lossy=False, given=[other]))


def test_what_was_acked_must_be_readable_without_a_hole(story):
    tape = story.tape
    spans = [span(story, 0, 5), span(story, 4, 9)]
    assert readable([(EPOCH, tape.begins[9])], spans) == []
    assert readable([(EPOCH, tape.begins[10])], spans) != []
    assert readable([(EPOCH, tape.begins[9])], [spans[0], span(story, 6, 9)]) != []
    assert readable([(EPOCH + 1, 1)], spans) != []


def test_pcm_is_played_when_it_was_captured_and_lasts_as_long_as_its_bytes():
    tape = record(1, "u", "c", EPOCH, Chance(7, []), pcm=True)
    story = Story(tape, [Spell(EPOCH, 0, tape.total, tape.total)], stored=tape.total, done=True)
    size = tape.begins[1]
    one = Span("c", EPOCH, 0, size, tape.captured_ms[0], 0, 2880, 312, 648, True, (b"encoded",))
    assert not any("played" in text or "last" in text for text in judged(story, [one]))
    assert any("3.0 ms off" in text for text in judged(story, [replace(one, first_sample=144)]))
    assert any("last 2832 samples" in text for text in judged(story, [replace(one, samples=2832)]))


def test_of_a_plain_device_all_that_was_appended_is_stored_once_and_in_order(story):
    tape, count = story.tape, len(story.tape.packets)
    whole = [span(story, 0, 7), span(story, 7, count)]
    books = Books(waits=False, balance=Balance())
    chunks = [Given(EPOCH, tape.begins[at], tape.begins[at + 1]) for at in range(count)]

    def judged_plain(spans, *, given=(), whole=True):
        return wrong_plain(story, spans, books, chunks, given, whole=whole)

    assert judged_plain(whole) == []
    assert any("missing" in text for text in judged_plain(whole[:1], whole=False))
    assert judged_plain(whole[:1], given=chunks[7:], whole=False) == []
    assert any("nothing broke" in text for text in judged_plain(whole[:1], given=chunks[7:]))
    assert any("stored twice" in text for text in judged_plain([*whole, span(story, 3, 7)]))
    changed = replace(whole[0], packets=(tape.packets[0] + b"x", *tape.packets[1:7]))
    assert any("has changed" in text for text in judged_plain([changed, whole[1]]))
    story.deleted = True
    assert any("deleted" in text for text in judged_plain(whole))
