"""What of a listing was recorded before a user deleted everything."""

from audiobus import EntryId
from audiocodec.span import Span
from audiostore.batch import BatchFacts
from audiostore.legacy import parse_audio_name
from audiostore.names import BatchName
from audiostore.store import ObjectInfo
from storage_api.deletion.recorded import Boundary, part
from storage_api.stored_object import OlderFacts, StoredObject, Verdict

T = 1_700_000_000_000


def span(epoch: int, first: int, end: int, *, at_ms: int = T, ms: int = 1000, cid: str = "c") -> Span:
    return Span(cid, epoch, first, end, at_ms, 0, ms * 48, 0, 0, True, ())


def batch(*spans: Span, second: bool = False) -> StoredObject:
    path = BatchName("u", "c", spans[0].start_48k // 48, spans[-1].end_48k // 48).path
    facts = BatchFacts.__new__(BatchFacts)
    object.__setattr__(facts, "spans", tuple(spans))
    return StoredObject(
        ObjectInfo(path, 1, None, None), parse_audio_name(path), Verdict(facts), second=second
    )


def older(path: str, samples: int | None) -> StoredObject:
    name = parse_audio_name(path)
    facts = None if samples is None else OlderFacts("pcm", samples)
    return StoredObject(ObjectInfo(path, 1, None, None), name, Verdict(facts))


def parted(*objects: StoredObject, newest: EntryId | None = None, before_ms: int = T + 5000, cid: str = "c"):
    found = part(objects, Boundary(before_ms, {} if newest is None else {cid: newest}))
    return sorted(found.doomed), sorted(found.spanning)


def test_what_the_newest_byte_of_then_covers_is_before_wherever_it_lies_in_time():
    ahead = batch(span(T, 0, 100, at_ms=T + 90_000))
    assert parted(ahead, newest=EntryId(T, 100)) == ([ahead.info.name], [])


def test_what_came_after_it_stays_wherever_it_lies_in_time():
    later = batch(span(T, 100, 200, at_ms=T - 90_000), span(T + 9, 0, 10, at_ms=T - 80_000))
    assert parted(later, newest=EntryId(T, 100)) == ([], [])


def test_what_spans_the_moment_stays_and_is_told():
    inside = batch(span(T, 50, 200))
    two = batch(span(T, 50, 100), span(T, 100, 200, at_ms=T + 2000))
    assert parted(inside, newest=EntryId(T, 100)) == ([], [inside.info.name])
    assert parted(two, newest=EntryId(T, 100)) == ([], [two.info.name])


def test_where_nobody_recorded_times_decide_but_no_later_session_goes():
    before, across = batch(span(T, 0, 1, ms=5000)), batch(span(T, 0, 1, ms=5001))
    marked_back = batch(span(T + 5000, 0, 1, at_ms=T - 60_000))
    assert parted(before) == ([before.info.name], [])
    assert parted(across) == ([], [across.info.name])
    assert parted(marked_back) == ([], [])


def test_copies_out_of_another_conversation_are_judged_by_time():
    copied = batch(span(T + 1, 0, 1, cid="other"))
    assert parted(copied, newest=EntryId(T, 100)) == ([copied.info.name], [])


def test_what_was_merged_from_a_conversation_that_was_live_is_judged_by_what_that_had():
    before = batch(span(T, 0, 100, at_ms=T + 90_000, cid="other"))
    later = batch(span(T, 100, 200, at_ms=T - 90_000, cid="other"))
    assert parted(before, later, newest=EntryId(T, 100), cid="other") == ([before.info.name], [])


def test_older_objects_are_judged_by_what_they_hold_and_unreadable_ones_by_their_names():
    path = f"chunks/u/c/{T // 1000}.000"
    assert parted(older(path + ".bin", 5 * 48_000))[0]
    assert parted(older(path + ".bin", 6 * 48_000))[1]
    assert parted(older(f"{path}-{T // 1000 + 6}.000.batch.bin", None))[1]
    assert parted(older(f"chunks/u/c/{T // 1000 + 5}.000.bin", 48_000)) == ([], [])


def test_of_two_objects_of_one_name_neither_goes_where_one_must_stay():
    first, beside = batch(span(T, 0, 1)), batch(span(T + 9000, 0, 1), second=True)
    assert first.info.name == beside.info.name
    assert parted(first, beside) == ([], [first.info.name])


def test_a_batch_that_cannot_be_read_stays_and_is_told_for_a_later_session_may_have_old_marks():
    path, after = (BatchName("u", "c", at, at + 1000, sealed=True).path for at in (T - 60_000, T + 60_000))
    for verdict in (Verdict(None, "no_key"), Verdict(None, "damaged")):
        one, other = (
            StoredObject(ObjectInfo(each, 1, None, None), parse_audio_name(each), verdict)
            for each in (path, after)
        )
        assert parted(one, other) == ([], [path])
