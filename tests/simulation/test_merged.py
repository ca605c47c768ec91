"""The model of a history in which conversations were merged, held against histories that are none."""

from dataclasses import replace

from audiobus.census import Balance
from audiocodec.span import Span
from tapedeck_testing.simulation.history import Books
from tapedeck_testing.simulation.merged import (
    Folder,
    Merge,
    on_the_way,
    once,
    samples,
    wrong_folders,
)

MERGE = Merge("u", ("a",), "b", deletes=True, ended="succeeded")


def span(first, end, conversation="a"):
    return Span(conversation, 7, first, end, 7, first, end - first, 0, 0, first == 0, ())


def folder(*spans, went=None, booked=("a", "b"), stored=None, **how):
    there = samples(spans) if stored is None else stored
    books = Books(waits=False, balance=Balance(received=there, stored=there))
    facts = {"objects": len(spans), "held": False, "may_lose": False, "deleted": False, **how}
    return Folder(spans, went=went, books=books, booked=booked, **facts)


def test_what_succeeded_is_in_the_target_and_nowhere_else():
    assert wrong_folders({"a": folder(went="b"), "b": folder(span(0, 9))}, [MERGE]) == []
    there = wrong_folders({"a": folder(), "b": folder(span(0, 9))}, [MERGE])
    assert there == [f"{MERGE} succeeded, and a is there"]
    left = wrong_folders({"a": folder(span(0, 9), went="b", stored=0), "b": folder(span(0, 9))}, [MERGE])
    assert left == ["a went into b, and 1 objects of it are there"]


def test_of_what_was_deleted_nothing_is_there_and_its_books_say_so():
    books = Books(waits=False, balance=Balance(received=9, deleted=9))
    gone = replace(folder(stored=0, deleted=True), books=books)
    assert wrong_folders({"a": gone}, []) == []
    assert wrong_folders({"a": replace(gone, objects=1)}, []) == [
        "a is deleted, and 1 objects of it are there"
    ]
    assert wrong_folders({"a": replace(gone, held=True)}, []) == ["a is held, and no merge is under way"]


def test_what_failed_or_stays_may_be_there_twice_and_counts_once():
    for merge in (replace(MERGE, ended="merge_timeout"), replace(MERGE, deletes=False)):
        folders = {"a": folder(span(0, 9)), "b": folder(span(0, 9), span(0, 9, "b"), booked=("b",), stored=9)}
        assert wrong_folders(folders, [merge]) == []
        folders["b"] = replace(folders["b"], booked=("a", "b"))
        assert wrong_folders(folders, [merge]) == ["b: 9 samples are counted as stored, 18 are"]


def test_nothing_is_held_or_lost_at_the_end():
    assert wrong_folders({"a": folder(held=True)}, []) == ["a is held, and no merge is under way"]
    gone = replace(folder(), books=Books(waits=False, balance=Balance(received=3, deleted=3)))
    assert wrong_folders({"a": gone}, []) == ["a: 3 samples were deleted, and nobody did"]
    assert wrong_folders({"a": replace(gone, may_lose=True)}, []) == []


def test_what_another_one_holds_as_well_is_taken_once():
    assert once([span(0, 4), span(0, 9), span(0, 9), span(9, 12), span(0, 9, "b")]) == [
        span(0, 9),
        span(0, 9, "b"),
        span(9, 12),
    ]
    assert samples([span(0, 4), span(0, 9), span(9, 12), span(0, 9, "b")]) == 21


def test_one_merge_may_follow_another():
    folders = {"a": folder(went="b"), "b": folder(went="c"), "c": folder()}
    assert on_the_way(folders, "a") == ["a", "b", "c"]
    assert on_the_way(folders, "c") == ["c"]
