"""Page tokens."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.problem import ProblemError
from storage_api.app import build_app
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


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/user-1/conversations/conv-1/chunks",
        "/v1/users/user-1/conversations",
        "/v1/buffers",
        "/v1/dead-letters",
    ],
)
async def test_a_token_that_is_no_text_is_refused(api, tape, pcm_tone, path):
    """HTTP/2 carries any byte in a query; what a path is made of must not depend on it."""
    await tape.record(pcm_tone(1))
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "2",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"page_token=\xff",
        "headers": [(b"authorization", b"Bearer all-token")],
        "server": ("127.0.0.1", 80),
    }
    await build_app(api.services)(scope, receive, send)
    assert sent[0]["status"] == 400
    assert msgspec.json.decode(sent[1]["body"])["code"] == "bad_page_token"
    assert (b"cache-control", b"no-store") in sent[0]["headers"]
