"""Where a part of a conversation may begin."""

import pytest

from audiobus import Conversation, EntryId
from audiocodec.span import Span
from audiostore.batch import BatchFacts
from audiostore.legacy import parse_audio_name
from audiostore.names import BatchName
from audiostore.store import ObjectInfo
from storage_api.live_tail import LiveChunk, LiveTail
from storage_api.recording import Recording
from storage_api.stored_object import StoredObject, Verdict
from storage_api.watershed import is_watershed, last_watershed, sorts_by_time

CONVERSATION = Conversation("user-1", "conv-1")
T0 = 1_700_000_000_000
LAST = T0 + 1_000_000


def span(start_48k: int, samples: int, offset: int, epoch: int = T0) -> Span:
    return Span(CONVERSATION.cid, epoch, offset, offset + samples, T0, start_48k, samples, 0, 0, False, ())


def stored(*spans: Span, reason: str | None = None) -> StoredObject:
    name = BatchName(*CONVERSATION, spans[0].start_ms, spans[-1].end_ms).path
    facts = BatchFacts(CONVERSATION.cid, "pcm16", 16_000, 1, 120, spans, ((0, 1),) * len(spans), None)
    parsed = parse_audio_name(name)
    assert parsed is not None
    return StoredObject(ObjectInfo(name, 1, None, None), parsed, Verdict(facts, reason))


def recording(*objects: StoredObject, waiting: tuple[Span, ...] = ()) -> Recording:
    chunks = tuple(LiveChunk(EntryId(one.epoch, one.end_offset), 16_000, 1, one, False) for one in waiting)
    return Recording(CONVERSATION, LiveTail(None, chunks), objects)


def found(made: Recording, last_ms: int = LAST) -> int | None:
    at = last_watershed(made, 0, last_ms)
    return None if at is None else at - T0 * 48


FIRST, SECOND = stored(span(0, 48_000, 0)), stored(span(48_000, 48_000, 48_000))
OTHER = 5


def test_it_is_the_last_object_with_which_nothing_before_overlaps():
    assert found(recording(FIRST, SECOND)) == 48_000
    assert found(recording(FIRST, SECOND), T0 + 999) == 0
    assert found(recording(FIRST, stored(span(47_999, 48_000, 0, OTHER)))) == 0
    assert found(recording()) is None


def test_what_cannot_be_read_is_none():
    assert found(recording(FIRST, stored(span(96_000, 48_000, 48_000), reason="damaged"))) == 0


@pytest.mark.parametrize("at", [48_000, 48_010])
def test_two_objects_of_one_millisecond_are_none(at):
    assert found(recording(FIRST, SECOND, stored(span(at, 48_000, 0, OTHER)))) == 0


def test_what_waits_counts_too():
    assert found(recording(FIRST, SECOND, waiting=(span(40_000, 10_000, 0, OTHER),))) == 0
    assert found(recording(FIRST, SECOND, waiting=(span(96_000, 10_000, 96_000),))) == 48_000


def test_it_lies_behind_all_runs_of_an_object():
    several = stored(span(0, 480, 0), span(4_800, 480, 480))
    assert found(recording(several, stored(span(2_400, 480, 0, OTHER)))) == 0


def test_nothing_is_found_before_the_first_that_may_be_one():
    made = recording(FIRST, SECOND, stored(span(90_000, 48_000, 0, OTHER)))
    assert last_watershed(made, T0 * 48 + 48_000, LAST) == T0 * 48 + 48_000
    assert last_watershed(made, T0 * 48 + 48_001, LAST) is None


def test_whether_a_time_is_one():
    made = recording(FIRST, SECOND)
    assert is_watershed(made, T0 * 48 + 48_000)
    assert not is_watershed(made, T0 * 48 + 48_001)
    assert not is_watershed(recording(FIRST), T0 * 48 + 48_000)


def test_a_session_that_goes_back_does_not_sort_by_time():
    assert sorts_by_time(recording(FIRST, SECOND))
    assert not sorts_by_time(recording(FIRST, stored(span(48_000 * 500, 48_000, 47_999))))
    assert sorts_by_time(recording(FIRST, stored(span(48_000 * 500, 48_000, 0, OTHER))))
    assert not sorts_by_time(recording(FIRST, SECOND, waiting=(SECOND.pieces[0].span,)))


@pytest.mark.parametrize("seconds", ["5", "5.000-1234", "0170000000", "999999999", "17000000000"])
def test_names_of_another_length_do_not_sort_by_time(seconds):
    name = f"chunks/user-1/conv-1/{seconds}.000{'.batch' * ('-' in seconds)}.bin"
    parsed = parse_audio_name(name)
    assert parsed is not None
    odd = StoredObject(ObjectInfo(name, 1, None, None), parsed, Verdict(None, "damaged"))
    assert not sorts_by_time(recording(FIRST, odd))
