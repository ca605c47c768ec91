"""Places for downloads, and how they are shared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.metrics import Metrics
from servicekit.problem import ProblemError
from storage_api.access import Actor
from storage_api.downloads import MAX_DOWNLOADS, Downloads
from storage_api.metrics import StorageMetrics


def places() -> Downloads:
    return Downloads(StorageMetrics(Metrics("storage-api", "test")))


def taken(downloads: Downloads, caller: str, most: int = 100) -> list:
    """As many as the caller gets."""
    held = []
    while len(held) < most:
        slot = downloads.slot(caller)
        try:
            slot.__enter__()
        except ProblemError as error:
            assert (error.status, error.code) == (503, "busy")
            return held
        held.append(slot)
    return held


def test_nobody_gets_all():
    downloads = places()
    held = [taken(downloads, caller) for caller in "abc"]
    assert [len(slots) for slots in held] == [24, 6, 2]
    assert not taken(downloads, "d")


def test_twenty_of_one_caller_run_at_once():
    assert len(taken(places(), "a", 20)) == 20


def test_as_many_callers_as_there_are_places_have_one_each():
    downloads = places()
    held = [taken(downloads, str(number), 1) for number in range(MAX_DOWNLOADS)]
    assert [len(slots) for slots in held] == [1] * MAX_DOWNLOADS


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=200))
def test_what_is_given_back_can_be_taken_again(steps):
    downloads = places()
    held: dict[str, list] = {caller: [] for caller in "abcd"}
    for caller, takes in steps:
        if takes:
            held[caller] += taken(downloads, caller, 1)
        elif held[caller]:
            held[caller].pop().__exit__(None, None, None)
        assert downloads.running == sum(map(len, held.values())) <= MAX_DOWNLOADS
    for slots in held.values():
        for slot in slots:
            slot.__exit__(None, None, None)
    assert downloads.running == 0
    assert not downloads._of
    assert len(taken(downloads, "a")) == 24


def test_a_service_may_have_all():
    downloads = places()
    held = [downloads.place(Actor("service", "a"), str(number)) for number in range(MAX_DOWNLOADS)]
    for slot in held:
        slot.__enter__()
    with pytest.raises(ProblemError, match="32 downloads are under way"):
        downloads.place(Actor("service", "a"), "u").__enter__()
