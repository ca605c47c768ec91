"""Query parameters at the door."""

import pytest
from starlette.datastructures import QueryParams

from servicekit.problem import ProblemError
from storage_api.parameters import Parameters, path_id


def parameters(query: str, *known: str) -> Parameters:
    return Parameters(QueryParams(query), known)


def test_what_is_not_given_has_its_default():
    given = parameters("", "page_size", "live", "start", "end", "timestamps", "sample_rate", "channels")
    assert given.page_size() == 100
    assert given.flag("live") is None
    assert given.window() == (None, None)
    assert given.timestamps() == ()
    assert given.sample_rate() is None
    assert given.channels() is None


def test_what_is_not_known_is_ignored():
    assert parameters("other=1&page_size=3", "page_size").page_size() == 3


def test_what_is_there_twice_is_refused():
    with pytest.raises(ProblemError) as caught:
        parameters("live=true&live=false", "live")
    assert caught.value.extra == {"parameter": "live"}


def test_what_is_too_long_is_refused_before_it_is_parsed():
    with pytest.raises(ProblemError):
        parameters("start=" + "1" * 40_000, "start")


def test_values():
    given = parameters(
        "page_size=1000&live=false&start=1&end=2.5&sample_rate=8000&channels=2", "page_size", "live"
    )
    assert given.page_size() == 1000
    assert given.flag("live") is False
    assert given.window() == (48_000, 120_000)
    assert given.sample_rate() == 8000
    assert given.channels() == 2
    assert parameters("timestamps=1.5,%202", "timestamps").timestamps() == (1500, 2000)


@pytest.mark.parametrize("text", ["..", "a/b", "", "a\0", "a b", "x" * 129, "ä", "a\n", "/", "-a"])
def test_ids_are_checked(text):
    with pytest.raises(ProblemError) as caught:
        path_id("the user id", text)
    assert (caught.value.status, caught.value.code) == (400, "bad_id")
    assert text not in caught.value.detail or len(text) < 2


@pytest.mark.parametrize("name", ["start", "end", "timestamps"])
def test_an_empty_time_is_refused_and_not_taken_for_none(name):
    given = parameters(f"{name}=", "start", "end", "timestamps")
    with pytest.raises(ProblemError, match="empty") as caught:
        given.timestamps() if name == "timestamps" else given.window()
    assert (caught.value.status, caught.value.extra) == (400, {"parameter": name})


@pytest.mark.parametrize("query", ["strat=1", "Start=1", "start=1&until=2", "start%20=1", "=1"])
def test_what_deletes_takes_no_parameter_that_it_does_not_know(query):
    with pytest.raises(ProblemError, match="nothing is deleted") as caught:
        Parameters.and_no_others(QueryParams(query), ("start", "end"))
    assert (caught.value.status, caught.value.code) == (400, "bad_parameter")
    assert caught.value.extra["parameter"] not in ("start", "end")
    assert Parameters.and_no_others(QueryParams("start=1"), ("start", "end")).window() == (48_000, None)
