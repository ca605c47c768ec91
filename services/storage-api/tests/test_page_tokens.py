"""Page tokens."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.problem import ProblemError
from storage_api.page_tokens import read_page_token, write_page_token


class Place(msgspec.Struct, frozen=True, array_like=True):
    number: int
    name: str


def test_a_token_brings_back_its_place():
    token = write_page_token("/a", {"x": "1"}, Place(7, "n"))
    assert read_page_token("/a", {"x": "1"}, token, Place) == Place(7, "n")
    assert read_page_token("/a", {"x": "1", "page_size": "9", "page_token": token}, token, Place) == Place(
        7, "n"
    )


@pytest.mark.parametrize(
    ("path", "query"), [("/b", {"x": "1"}), ("/a", {"x": "2"}), ("/a", {}), ("/a", {"x": "1", "y": ""})]
)
def test_a_token_is_bound_to_its_request(path, query):
    token = write_page_token("/a", {"x": "1"}, Place(7, "n"))
    with pytest.raises(ProblemError) as caught:
        read_page_token(path, query, token, Place)
    assert (caught.value.status, caught.value.code) == (400, "bad_page_token")


@given(st.text(max_size=60))
def test_rubbish_is_refused(text):
    with pytest.raises(ProblemError):
        read_page_token("/a", {}, text, Place)


def test_a_place_of_another_list_is_refused():
    token = write_page_token("/a", {}, ["not", "a", "place"])
    with pytest.raises(ProblemError):
        read_page_token("/a", {}, token, Place)
