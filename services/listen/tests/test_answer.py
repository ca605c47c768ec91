"""Refusals as bytes."""

import json

import h11
import pytest

from listen.answer import refusal
from servicekit.problem import identified


def read(answer: bytes) -> tuple[h11.Response, dict[str, str], dict]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    client.receive_data(answer)
    response, body = client.next_event(), client.next_event()
    assert isinstance(client.next_event(), h11.EndOfMessage)
    return (
        response,
        {name.decode(): value.decode() for name, value in response.headers},
        json.loads(bytes(body.data)),
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "bad_request"), (404, "not_found"), (408, "too_slow"), (431, "too_big"), (426, "bad_request")],
)
def test_a_status_has_its_code(status, code):
    response, headers, problem = read(refusal(status, "why"))
    assert response.status_code == problem["status"] == status
    assert (problem["code"], problem["detail"]) == (code, "why")
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["date"].endswith("GMT")


def test_a_refusal_says_more_where_there_is_more():
    with identified("my-own-id-7") as request_id:
        _, headers, problem = read(refusal(401, "no", code="unauthorized", headers={"Retry-After": "5"}))
    assert headers["www-authenticate"] == "Bearer"
    assert headers["retry-after"] == "5"
    assert headers["x-request-id"] == problem["request_id"] == request_id == "my-own-id-7"
